"""How a patient is told things: language, channels and devices; where reminders lead, and the answer to them."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.errors import BadInput, NotFound, TooManyEmails
from healthplus.notices.preferences import Preference
from healthplus.notices.push import Subscription
from healthplus.web.http.ids import ProviderId
from healthplus.web.languages import HINDI, LANGUAGES
from healthplus.web.pages.addresses import appointment_path, hold_path, ticket_path
from healthplus.web.pages.rendering import language_of, page, see_other, updates_response
from healthplus.web.pages.session import PatientSession, form_of, idempotency_key, require_patient
from healthplus.web.services import AnyRequest, services

PATH = "/notifications"
_TEXT_LENGTH_MAX = 2000


async def note_language(request: AnyRequest, session: PatientSession) -> None:
    """Write to a patient in the language of the page by which they book, unless they chose one."""
    language = language_of(request).code
    if not session.has_chosen_language and session.language != language:
        await services(request).preferences.note_language(session.patient_id, language)


class NotificationsController(Controller):
    @get(PATH)
    async def read(self, request: AnyRequest) -> Response[str]:
        return await _notifications_page(request)

    @post(PATH)
    async def choose(self, request: AnyRequest) -> Response[str]:
        session = require_patient(request, PATH)
        preferences = services(request).preferences
        form = await request.form()
        if "email" in form:  # it is the form of the address
            return await _change_email(request, session, await form_of(request))
        reminds_by = form.getall("reminds_by", [])
        before, reach = await preferences.of(session.patient_id)
        has_push = preferences.push_key is not None
        chosen = Preference(
            language="hi" if form.get("language") == HINDI.code and HINDI in LANGUAGES else "en",
            text_by="whatsapp" if form.get("text_by") == "whatsapp" and preferences.has_whatsapp else "sms",
            reminds_by_text="text" in reminds_by,
            # What the form did not ask stays as it was.
            reminds_by_email="email" in reminds_by if reach.has_email else before.reminds_by_email,
            reminds_by_push="push" in reminds_by if has_push else before.reminds_by_push,
        )
        await preferences.choose(session.patient_id, chosen)
        return see_other(request, PATH, {"saved": 1})

    @post(f"{PATH}/push")
    async def add_device(self, request: AnyRequest) -> Response[bytes]:
        session = require_patient(request, PATH)
        form = {name: text[:_TEXT_LENGTH_MAX] for name, text in (await form_of(request)).items()}
        if services(request).preferences.push_key is None:
            raise NotFound
        try:
            subscription = Subscription.read(*(form.get(name, "") for name in ("endpoint", "p256dh", "auth")))
        except BadInput as error:
            return updates_response(request, {"detail": error.detail}, status=error.status)
        await services(request).preferences.add_device(session.patient_id, session.token, subscription)
        return updates_response(request, None)

    @post(f"{PATH}/push/off")
    async def remove_device(self, request: AnyRequest) -> Response[bytes]:
        session = require_patient(request, PATH)
        endpoint = (await form_of(request)).get("endpoint", "")[:_TEXT_LENGTH_MAX]
        await services(request).preferences.remove_device(session.patient_id, endpoint)
        return updates_response(request, None)

    @get("/a/{code:str}")
    async def lead_to_appointment(self, request: AnyRequest, code: FromPath[str]) -> Response[str]:
        """Redirect from a message's link to its appointment, or to all of them where it is not this patient's.

        With `?move`, and where the clinic cannot keep it, to the page where it can be moved. What was never booked has
        a page that says why, and what becomes of its money.
        """
        session = require_patient(request)
        found = await services(request).preferences.booking_of(code, session.patient_id)
        if found is None:
            return see_other(request, "/appointments")
        provider_id, booking_id = found["provider_id"], found["booking_id"]
        if found["is_appointment"]:
            end = "/move" if found["is_to_move"] or "move" in request.query_params else ""
            return see_other(request, appointment_path(provider_id, booking_id, end))
        if found["offered_to"] is not None:
            return see_other(request, ticket_path(provider_id, found["offered_to"]))
        return see_other(request, hold_path(provider_id, booking_id))

    @post("/appointments/{provider_id:int}/{booking_id:uuid}/coming")
    async def say_coming(
        self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID]
    ) -> Response[str]:
        here = appointment_path(provider_id, booking_id)
        session = require_patient(request, here)
        # Where it cannot be noted any more, the page says what has become of the appointment.
        await services(request).preferences.note_coming(provider_id, booking_id, session.patient_id)
        return see_other(request, here)


async def _notifications_page(
    request: AnyRequest, status: int = 200, error: str = "", given: str | None = None
) -> Response[str]:
    """Return the page; `error` is what is wrong with the e-mail address that was `given`."""
    session = require_patient(request)
    app = services(request)
    chosen, reach = await app.preferences.of(session.patient_id)
    push_key = app.preferences.push_key
    return page(
        request,
        "notifications/notifications.html",
        status=status,
        chosen=chosen,
        reach=reach,
        languages=LANGUAGES,
        has_whatsapp=app.preferences.has_whatsapp,
        push_key=push_key,
        known=await app.preferences.devices(session.patient_id, session.token) if push_key else [],
        alerts=await app.earlier.of(session.patient_id),
        saved="saved" in request.query_params,
        profile=await app.patients.profile(session.patient_id),
        can_mail=app.code_messages.can_mail,
        email_done=request.query_params.get("email", ""),
        error=error,
        given=given,
    )


async def _change_email(request: AnyRequest, session: PatientSession, form: dict[str, str]) -> Response[str]:
    """Take another e-mail address, to which a link is sent that shows whether it is theirs; or take it away.

    Whether somebody else has verified that address makes no difference.
    """
    app, language = services(request), language_of(request)
    is_removed = form.get("action") == "remove"
    given = form["email"].strip()
    changes: dict[str, str | None] = {"email": None if is_removed else given}
    try:
        is_asked = await app.patients.change(session.patient_id, changes, idempotency_key(form, "email", "action"))
    except BadInput as error:
        said = language.gettext("Write an e-mail address like asha@example.org.")
        return await _notifications_page(request, error.status, said, given)
    except TooManyEmails as error:
        said = language.gettext("We have sent several links today. Try again tomorrow.")
        return await _notifications_page(request, error.status, said, given)
    check = await app.emails.check(session.patient_id) if is_asked else None
    if check is not None:
        app.code_messages.send_link(check, language.code)
    return see_other(request, f"{PATH}?email={'removed' if is_removed else 'sent'}#email")
