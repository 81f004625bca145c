"""Where a gateway's page sends a patient back to by a form: without cookies, as the form comes from another site."""

from __future__ import annotations

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.errors import BadSignature
from healthplus.web.pages.addresses import appointment_path, hold_path
from healthplus.web.pages.rendering import page, see_other
from healthplus.web.pages.session import form_of
from healthplus.web.services import AnyRequest, services


class PaymentReturnController(Controller):
    """Leads to the page of the hold or appointment, which finds the patient by their cookie, and decides nothing."""

    path = "/payments/{account:str}/return"

    @get()
    async def come_back(self, request: AnyRequest, account: FromPath[str]) -> Response[str]:
        return await _back(request, account, dict(request.query_params))

    @post()
    async def sent_back(self, request: AnyRequest, account: FromPath[str]) -> Response[str]:
        return await _back(request, account, await form_of(request))


async def _back(request: AnyRequest, account: str, fields: dict[str, str]) -> Response[str]:
    payments = services(request).payments
    try:
        returned = payments.gateways.require(account).read_return(fields)
    except BadSignature:
        return page(request, "hold/not_signed.html", status=403, headers={"Cache-Control": "no-store"})
    hold = await payments.webhooks.hold_of(account, returned.order)
    if hold is None:  # its last look is over: what was paid is known by now, or went back
        return see_other(request, "/appointments")
    which = hold["provider_id"], hold["hold_id"]
    there = appointment_path(*which, "/pay") if hold["is_for_booking"] else hold_path(*which)
    if returned.is_declined:
        return see_other(request, there, {"bank": "declined"})
    await payments.look_now(*which)
    return see_other(request, there, {"bank": "later"})
