"""The way of an appointment's money, for its patient: what was paid, what goes back, and where that is now."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get
from litestar.params import FromPath

from healthplus.errors import NotFound
from healthplus.web.http.ids import ProviderId
from healthplus.web.http.money_steps import money_steps
from healthplus.web.pages.appointments import own_appointment, queries
from healthplus.web.pages.rendering import language_of, page
from healthplus.web.services import AnyRequest, services


class MoneyController(Controller):
    path = "/appointments/{provider_id:int}/{booking_id:uuid}/money"

    @get()
    async def money(self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID]) -> Response[str]:
        """Show each step of an appointment's money; of what was not paid online there is none to show."""
        _, appointment = await own_appointment(request, provider_id, booking_id)
        app = services(request)
        payments = await app.database.fetch_value(queries.money_steps, provider_id, booking_id)
        if not payments:
            raise NotFound
        steps = money_steps(language_of(request), payments, appointment["currency"], app.clock.now(), is_desk=False)
        return page(request, "appointments/money.html", appointment=appointment, steps=steps)
