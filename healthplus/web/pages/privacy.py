from __future__ import annotations

import msgspec
from litestar import Controller, Response, get, post

from healthplus.accounts.consent import CONSENTS, CURRENT
from healthplus.errors import Conflict
from healthplus.web.languages import HOME_ZONE
from healthplus.web.pages.rendering import document, page, see_other
from healthplus.web.pages.session import form_of, local_path, require_patient, session_of
from healthplus.web.pages.sign_in import signed_out
from healthplus.web.services import AnyRequest, services

_TEXTS = {consent.version: consent.text for consent in CONSENTS}


class PrivacyController(Controller):
    path = "/privacy"

    @get()
    async def read(self, request: AnyRequest) -> Response[str]:
        patients, session = services(request).patients, session_of(request)
        consents = await patients.consents(session.patient_id) if session else []
        return page(
            request,
            "privacy/privacy.html",
            consent=CURRENT,
            consents=[(row, _TEXTS[row["version"]]) for row in consents],
            sessions=await patients.sessions(session.patient_id, session.token) if session else [],
            zone=HOME_ZONE,
        )

    @get("/export")
    async def export(self, request: AnyRequest) -> Response[bytes]:
        data = await services(request).privacy.export(require_patient(request, "/privacy").patient_id)
        return document(
            request,
            msgspec.json.format(msgspec.json.encode(data)),
            headers={"Content-Disposition": 'attachment; filename="healthplus-my-data.json"'},
        )

    @post("/agree")
    async def agree(self, request: AnyRequest) -> Response[str]:
        """Note that a patient agrees to the present text, and lead back to where they were."""
        form = await form_of(request)
        back_to = local_path(form.get("next"), "/privacy")
        session = require_patient(request, back_to)
        if form.get("consent") == CURRENT.version:  # else they saw another text, and are asked again
            await services(request).patients.agree(session.patient_id, CURRENT)
        return see_other(request, back_to)

    @post("/sign-out-everywhere")
    async def sign_out_everywhere(self, request: AnyRequest) -> Response[str]:
        if (session := session_of(request)) is not None:
            await services(request).patients.end_sessions(session.patient_id)
        return signed_out(request, "/signed-out")

    @get("/withdraw")
    async def ask_whether_to_withdraw(self, request: AnyRequest) -> Response[str]:
        session = require_patient(request)
        return page(
            request,
            "privacy/withdraw.html",
            booked=await services(request).privacy.booked_ahead(session.patient_id),
        )

    @post("/withdraw")
    async def withdraw(self, request: AnyRequest) -> Response[str]:
        if (session := session_of(request)) is None:
            # A second click comes after the first has signed them out.
            return see_other(request, "/privacy")
        given_up, booked = await services(request).privacy.withdraw(session.patient_id)
        query: dict[str, object] = {"booked": len(booked)} if booked else {}
        if given_up is not None:
            query["given_up"] = given_up.kind
        return signed_out(request, "/privacy/withdrawn", query)

    @get("/withdrawn")
    async def withdrawn(self, request: AnyRequest) -> Response[str]:
        return _done(request, "privacy/withdrawn.html")

    @get("/erase")
    async def ask_whether_to_erase(self, request: AnyRequest) -> Response[str]:
        return await _erase_page(request, require_patient(request).patient_id)

    @post("/erase")
    async def erase(self, request: AnyRequest) -> Response[str]:
        if (session := session_of(request)) is None:
            return see_other(request, "/privacy")
        try:
            given_up = await services(request).privacy.erase(session.patient_id)
        except Conflict as error:
            return await _erase_page(request, session.patient_id, error.status)
        return signed_out(request, "/privacy/erased", {"given_up": given_up.kind} if given_up else None)

    @get("/erased")
    async def erased(self, request: AnyRequest) -> Response[str]:
        return _done(request, "privacy/erased.html")


async def _erase_page(request: AnyRequest, patient_id: int, status: int = 200) -> Response[str]:
    booked = await services(request).privacy.booked_ahead(patient_id)
    return page(request, "privacy/erase.html", status=status, booked=booked, refused=status != 200)


def _done(request: AnyRequest, template: str) -> Response[str]:
    """Return a page that says what was done. The address says it, since the patient is signed out by now."""
    booked = request.query_params.get("booked", "0")
    return page(
        request,
        template,
        booked=int(booked) if booked.isdecimal() and len(booked) < 4 else 0,
        given_up=request.query_params.get("given_up"),
    )
