"""Earlier times: a patient asks on an appointment's page to be told of them; where the message about one leads."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.errors import NotFound
from healthplus.web.http.ids import ProviderId
from healthplus.web.pages.addresses import appointment_path
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.session import form_of, require_patient
from healthplus.web.services import AnyRequest, services


class EarlierTimesController(Controller):
    @post("/appointments/{provider_id:int}/{booking_id:uuid}/earlier")
    async def choose(self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID]) -> Response[str]:
        """Begin to tell a patient of earlier times, or end it; where neither can be, the page says how things stand."""
        here = appointment_path(provider_id, booking_id)
        session = require_patient(request, here)
        earlier = services(request).earlier
        if (await form_of(request)).get("tell") == "no":
            is_theirs = await earlier.stop(provider_id, booking_id, session.patient_id)
        else:
            is_theirs = await earlier.ask(provider_id, booking_id, session.patient_id) != "not_found"
        if not is_theirs:
            raise NotFound
        return see_other(request, f"{here}#earlier")

    @get("/e/{code:str}")
    async def lead_to_time(self, request: AnyRequest, code: FromPath[str]) -> Response[str]:
        """Redirect from a message's link to where its time can be taken; from another's, to one's own appointments."""
        session = require_patient(request)
        told = await services(request).earlier.told_of(code, session.patient_id)
        if told is None:
            return see_other(request, "/appointments")
        query = urlencode({"start": told.free_at.isoformat()})
        page = f"/move?{query}#t{told.free_at.timestamp():.0f}"  # where the page is to be scrolled to
        return see_other(request, appointment_path(told.provider_id, told.booking_id, page))
