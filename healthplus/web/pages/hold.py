"""A hold: its five minutes, who the visit is for, paying, giving it back; and what became of it."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.accounts.patients import checked_name
from healthplus.booking.book import CLIENT_MARGIN
from healthplus.database import Record
from healthplus.errors import BadInput, NotFound, PaymentDeclined, PaymentUnavailable
from healthplus.web.http.actor import actor
from healthplus.web.http.ids import ProviderId
from healthplus.web.languages import N_
from healthplus.web.pages.addresses import hold_path, visit_path, wait_path
from healthplus.web.pages.booking import booking_queries
from healthplus.web.pages.chart import Text
from healthplus.web.pages.rendering import CONTENT_SECURITY_POLICY, language_of, news_answer, page, see_other
from healthplus.web.pages.session import Visitor, demand_visitor, form_of, idempotency_key, site
from healthplus.web.services import AnyRequest, services
from healthplus.web.shared_charts import Asked

_BANK = ("later", "declined", "unanswered")
"""What the bank said last, as the address carries it: it is kept nowhere, and decides nothing."""

METHOD_TEXTS = {
    "sandbox-ok": N_("A card that pays (no money moves)"),
    "sandbox-later": N_("A bank that asks you first, on its own page"),
    "sandbox-declined": N_("A card that is declined"),
    "sandbox-unreachable": N_("A bank that does not answer"),
}


class HoldController(Controller):
    path = "/doctor/{provider_id:int}/hold/{hold_id:uuid}"

    @get()
    async def hold(
        self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID], bank: Text = ""
    ) -> Response[str]:
        who = demand_visitor(request)
        return await _page(request, await _held(request, who, provider_id, hold_id), bank)

    @get("/news")
    async def news(
        self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID], after: Text = ""
    ) -> Response[bytes]:
        """Tell the hold's state as soon as it is no longer `after`; nothing when it stays so for 25 s."""
        who = demand_visitor(request)
        app = services(request)

        async def look() -> dict[str, str] | None:
            state = await app.database.fetch_value(booking_queries.held_state, provider_id, hold_id, who.patient_id)
            if state is None:
                raise NotFound
            return None if state == after else {"state": state}

        return news_answer(request, await app.charts.as_soon_as(provider_id, look))

    @post()
    async def pay(self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID]) -> Response[str]:
        who = demand_visitor(request, hold_path(provider_id, hold_id))
        app = services(request)
        held = await _held(request, who, provider_id, hold_id)
        form = await form_of(request)
        _ = language_of(request).gettext
        here = hold_path(provider_id, hold_id)
        if held["state"] != "reserved" or held["offer"]:
            return see_other(request, here)
        try:
            await _note_who_comes(request, who, held, form)
        except BadInput:
            wrong = _("Write the name of the person who comes, in up to 200 letters.")
            field = "name" if form.get("who", "me") == "me" else "other"
            return await _page(request, held, form=form, error=wrong, field=field)
        method = form.get("method", "")[:200] or "none"
        if held["funding"] == "online" and method not in app.payments.methods:
            return await _page(request, held, form=form, error=_("Choose how to pay."), field="method")
        try:
            paid = await app.payments.pay(
                provider_id,
                hold_id,
                who.patient_id,
                method,
                actor(who.patient_id),
                idempotency_key(form, "method"),
                f"{site(request).url}{language_of(request).url(here)}?bank=later",
            )
        except PaymentDeclined:
            return see_other(request, here, {"bank": "declined"})
        except PaymentUnavailable:
            return see_other(request, here, {"bank": "unanswered"})
        # The bank's page is none of ours, so in no language.
        headers = _bank_headers(request) | ({"Location": paid.url} if paid.url else {})
        return see_other(request, here, headers=headers)

    @post("/release")
    async def release(self, request: AnyRequest, provider_id: ProviderId, hold_id: FromPath[UUID]) -> Response[str]:
        who = demand_visitor(request, hold_path(provider_id, hold_id))
        outcome = await services(request).book.release(provider_id, hold_id, who.patient_id, actor(who.patient_id))
        if outcome.code == "not_found":
            raise NotFound
        return see_other(request, hold_path(provider_id, hold_id))


async def _held(request: AnyRequest, who: Visitor, provider_id: int, hold_id: UUID) -> Record:
    row = await services(request).database.fetch_row(booking_queries.held, provider_id, hold_id, who.patient_id)
    if row is None:
        raise NotFound
    return row


async def _note_who_comes(request: AnyRequest, who: Visitor, held: Record, form: dict[str, str]) -> None:
    """Note the name of who comes. Raises BadInput for none that can be one."""
    app = services(request)
    whom = form.get("who", "me")
    if whom == "me":
        if not held["patient"] or form.get("name", "").strip():
            await app.patients.change(who.patient_id, {"name": form.get("name", "")}, idempotency_key(form, "name"))
        patient_name = None
    else:
        patient_name = checked_name(form.get("other", "") if whom == "other" else whom.removeprefix("for:"))
    await app.database.execute(
        booking_queries.name_visitor, held["provider_id"], held["booking_id"], who.patient_id, patient_name
    )


async def _page(
    request: AnyRequest,
    held: Record,
    bank: str = "",
    *,
    form: dict[str, str] | None = None,
    error: str | None = None,
    field: str = "other",
) -> Response[str]:
    provider_id, hold_id = held["provider_id"], held["booking_id"]
    if held["state"] == "reserved":
        if held["offer"]:
            return see_other(request, wait_path(provider_id, held["ticket_id"]))
        payments = services(request).payments
        return page(
            request,
            "hold/hold.html",
            status=200 if error is None else 422,
            headers=_bank_headers(request),
            held=held,
            until=held["deadline"] - CLIENT_MARGIN,
            bank=bank if bank in _BANK else "",
            form=form or {},
            error=error,
            field=field,
            methods=payments.methods if held["funding"] == "online" else (),
            method_texts=METHOD_TEXTS,
            path_here=hold_path(provider_id, hold_id),
        )
    if held["state"] in ("expired", "released"):
        return await _lost_page(request, held)
    return page(request, "hold/booked.html", held=held, visit=visit_path(provider_id, hold_id))


async def _lost_page(request: AnyRequest, held: Record) -> Response[str]:
    app = services(request)
    provider_id, hold_id = held["provider_id"], held["booking_id"]
    instead = await app.payments.booked_instead(provider_id, hold_id)
    on = held["starts_at"].astimezone(ZoneInfo(held["time_zone"])).date()
    asked = Asked(provider_id, held["clinic_id"], on, on, held["slots_needed"], held["time_zone"])
    chart = await app.charts.chart(asked)
    free = [row["starts_at"] for row in chart.slots if row["fits"] and row["state"] == "free"]
    return page(
        request,
        "hold/lost.html",
        held=held,
        instead=visit_path(provider_id, instead) if instead else None,
        money=await app.payments.money(provider_id, hold_id),
        is_free=held["starts_at"] in free,
        others=len(free),
        day=on,
    )


def _bank_headers(request: AnyRequest) -> dict[str, str]:
    """Let the form lead on to the bank, as its answer may."""
    pages = services(request).payments.pages
    policy = CONTENT_SECURITY_POLICY.replace("form-action 'self'", f"form-action 'self' {pages}".rstrip())
    return {"Content-Security-Policy": policy}
