from __future__ import annotations

import msgspec
from litestar import Controller, Response, get, post

from healthplus.accounts.consent import CONSENTS, CURRENT
from healthplus.errors import Conflict
from healthplus.web.languages import HOME_ZONE
from healthplus.web.pages.rendering import document, page, see_other
from healthplus.web.pages.session import demand_visitor, visitor
from healthplus.web.pages.sign_in import signed_out
from healthplus.web.services import AnyRequest, services

_TEXTS = {consent.version: consent.text for consent in CONSENTS}


class PrivacyController(Controller):
    path = "/privacy"

    @get()
    async def read(self, request: AnyRequest) -> Response[str]:
        app = services(request)
        who = visitor(request)
        return page(
            request,
            "privacy/privacy.html",
            consent=CURRENT,
            given=[(row, _TEXTS[row["version"]]) for row in await app.patients.consents(who.patient_id)] if who else [],
            sessions=await app.patients.sessions(who.patient_id, who.token) if who else [],
            zone=HOME_ZONE,
        )

    @get("/export")
    async def export(self, request: AnyRequest) -> Response[bytes]:
        held = await services(request).privacy.export(demand_visitor(request, "/privacy").patient_id)
        return document(
            request,
            msgspec.json.format(msgspec.json.encode(held)),
            headers={"Content-Disposition": 'attachment; filename="healthplus-my-data.json"'},
        )

    @post("/sign-out-everywhere")
    async def sign_out_everywhere(self, request: AnyRequest) -> Response[str]:
        if (who := visitor(request)) is not None:
            await services(request).patients.end_sessions(who.patient_id)
        return signed_out(request, "/signed-out")

    @get("/withdraw")
    async def ask_whether_to_withdraw(self, request: AnyRequest) -> Response[str]:
        who = demand_visitor(request)
        booked = await services(request).privacy.booked_ahead(who.patient_id)
        return page(request, "privacy/withdraw.html", booked=booked)

    @post("/withdraw")
    async def withdraw(self, request: AnyRequest) -> Response[str]:
        if (who := visitor(request)) is None:
            # A second click comes after the first has signed them out.
            return see_other(request, "/privacy")
        given_up, booked = await services(request).privacy.withdraw(who.patient_id)
        told: dict[str, object] = {"booked": len(booked)} if booked else {}
        if given_up is not None:
            told["given_up"] = given_up.kind
        return signed_out(request, "/privacy/withdrawn", told)

    @get("/withdrawn")
    async def withdrawn(self, request: AnyRequest) -> Response[str]:
        return _done(request, "privacy/withdrawn.html")

    @get("/erase")
    async def ask_whether_to_erase(self, request: AnyRequest) -> Response[str]:
        return await _erase_page(request, demand_visitor(request).patient_id)

    @post("/erase")
    async def erase(self, request: AnyRequest) -> Response[str]:
        if (who := visitor(request)) is None:
            return see_other(request, "/privacy")
        try:
            given_up = await services(request).privacy.erase(who.patient_id)
        except Conflict as error:
            return await _erase_page(request, who.patient_id, error.status)
        return signed_out(request, "/privacy/erased", {"given_up": given_up.kind} if given_up else None)

    @get("/erased")
    async def erased(self, request: AnyRequest) -> Response[str]:
        return _done(request, "privacy/erased.html")


async def _erase_page(request: AnyRequest, patient_id: int, status: int = 200) -> Response[str]:
    booked = await services(request).privacy.booked_ahead(patient_id)
    return page(request, "privacy/erase.html", status=status, booked=booked, refused=status != 200)


def _done(request: AnyRequest, template: str) -> Response[str]:
    """Tell what was done. It is told by the address, since nobody is signed in any more to be asked about."""
    booked = request.query_params.get("booked", "0")
    return page(
        request,
        template,
        booked=int(booked) if booked.isdecimal() and len(booked) < 4 else 0,
        given_up=request.query_params.get("given_up"),
    )
