"""The way of an appointment's money, for the desk of its clinic: the same that its patient sees."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from litestar import Controller, Response, get
from litestar.params import FromPath

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.session import console, desk_page, needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.http.money_steps import money_steps
from healthplus.web.pages.rendering import language_of
from healthplus.web.services import AnyRequest, services


class DeskMoneyController(Controller):
    path = "/desk/{clinic_id:int}/{day:date}/visit/{booking_id:uuid}/money"

    @get(**needs("see_clinic"))
    async def money(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        clinic = await read_clinic(request, clinic_id)
        rows = await console(request).fetch(queries.booking_money, clinic_id, booking_id)
        if not rows:
            raise NotFound
        row, now = rows[0], services(request).clock.now()
        return desk_page(
            request,
            "day/money.html",
            clinic=clinic,
            clinic_id=clinic_id,
            day=day,
            row=row,
            booking_id=booking_id,
            number=number_of(booking_id),
            steps=money_steps(language_of(request), row["steps"], row["currency"], now, is_desk=True),
        )
