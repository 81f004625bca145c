"""How I am told things: language, channels, reminders; and that I am coming."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, get, put
from litestar.params import FromPath, JSONBody
from msgspec import Struct

from healthplus.errors import Conflict, NotFound
from healthplus.notices.preferences import LanguageCode, Preference, TextBy
from healthplus.web.api.keys import needs_key
from healthplus.web.api.problems import PROBLEMS, READ_PROBLEMS
from healthplus.web.http.actor import require_patient
from healthplus.web.http.ids import ProviderId
from healthplus.web.services import AnyRequest, services

_READ_PROBLEMS = {status: PROBLEMS[status] for status in (401, 503)}
_CHANGE_PROBLEMS = {status: PROBLEMS[status] for status in (400, 401, 422, 503)}


class NotificationSettings(Struct, forbid_unknown_fields=True):
    """The language of messages, whether texts come by SMS or WhatsApp, and by what I am reminded of appointments."""

    language: LanguageCode
    text_by: TextBy
    reminds_by_text: bool
    reminds_by_email: bool
    reminds_by_push: bool


class Coming(Struct):
    """I am coming; the appointment stays booked also where nobody says so."""

    coming: bool = True


class Earlier(Struct, forbid_unknown_fields=True):
    """Whether I am told when a time before my appointment comes free."""

    earlier: bool


_EARLIER = "/providers/{provider_id:int}/appointments/{appointment_id:uuid}/earlier"
_NOT_ASKED = {
    "too_late": "No earlier time could be reached any more, or the clinic asks you to choose another time anyway.",
    "many_free": "Many earlier times are free now; move the appointment to one of them.",
}


class NotificationsController(Controller):
    tags = ("Notifications",)
    security = ({"token": []},)

    @get("/me/notifications", responses=_READ_PROBLEMS)
    async def read(self, request: AnyRequest) -> NotificationSettings:
        """Read how I am told things."""
        chosen, _ = await services(request).preferences.of(await require_patient(request))
        return _shown(chosen)

    @put("/me/notifications", responses=_CHANGE_PROBLEMS)
    async def choose(self, request: AnyRequest, data: JSONBody[NotificationSettings]) -> NotificationSettings:
        """Choose how I am told things; messages then stay in this language, whatever pages I read."""
        patient_id = await require_patient(request)
        chosen = Preference(
            data.language, data.text_by, data.reminds_by_text, data.reminds_by_email, data.reminds_by_push
        )
        await services(request).preferences.choose(patient_id, chosen)
        return _shown(chosen)

    @put(
        "/providers/{provider_id:int}/appointments/{appointment_id:uuid}/coming",
        responses=READ_PROBLEMS,
        **needs_key("book"),
    )
    async def say_coming(self, request: AnyRequest, provider_id: ProviderId, appointment_id: FromPath[UUID]) -> Coming:
        """Say that I am coming to an appointment of mine. It needs no Idempotency-Key: a repeat changes nothing."""
        patient_id = await require_patient(request)
        if not await services(request).preferences.note_coming(provider_id, appointment_id, patient_id):
            raise NotFound
        return Coming()

    @put(_EARLIER, responses={**READ_PROBLEMS, 409: PROBLEMS[409]}, **needs_key("book"))
    async def choose_earlier(
        self, request: AnyRequest, provider_id: ProviderId, appointment_id: FromPath[UUID], data: JSONBody[Earlier]
    ) -> Earlier:
        """Be told when a time before an appointment of mine comes free that nobody in the queue can use; or no more.

        The first who takes it has it, by `move`. It ends with the appointment's time.
        """
        which = provider_id, appointment_id, await require_patient(request)
        earlier = services(request).earlier
        if not data.earlier:
            if not await earlier.stop(*which):
                raise NotFound
            return data
        answer = await earlier.ask(*which)
        if answer == "not_found":
            raise NotFound
        if answer != "on":
            raise Conflict(_NOT_ASKED[answer])
        return data


def _shown(chosen: Preference) -> NotificationSettings:
    return NotificationSettings(
        chosen.language, chosen.text_by, chosen.reminds_by_text, chosen.reminds_by_email, chosen.reminds_by_push
    )
