"""A patient's own receipts and credit notes, as pages to print and as files."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get
from litestar.params import FromPath, QueryParameter

from healthplus.booking.numbers import number_of
from healthplus.errors import NotFound
from healthplus.receipts.receipts import chosen, credit_notes_of, documents_of
from healthplus.web.http.ids import ProviderId
from healthplus.web.pages.addresses import appointment_path
from healthplus.web.pages.appointments import own_appointment
from healthplus.web.pages.receipt_file import is_receipt_foreign, receipt_file
from healthplus.web.pages.receipt_text import receipt_text
from healthplus.web.pages.rendering import document, language_of, page, see_other
from healthplus.web.services import AnyRequest, services

Number = Annotated[str, QueryParameter(max_length=40)]

_ONE = "/{provider_id:int}/{booking_id:uuid}"


class ReceiptsController(Controller):
    path = "/appointments"

    @get(f"{_ONE}/receipt")
    async def receipt(
        self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID], number: Number = ""
    ) -> Response[str]:
        """Show the receipt, or the one with a number; until it is issued, the appointment, which says how it stands."""
        _, appointment = await own_appointment(request, provider_id, booking_id)
        documents = await documents_of(services(request).database, provider_id, booking_id)
        shown = chosen(documents, number)
        if shown is None and appointment["money"] and not number:
            return see_other(request, appointment_path(provider_id, booking_id))
        if shown is None:
            raise NotFound
        return page(
            request,
            "appointments/receipt.html",
            appointment=appointment,
            receipt=receipt_text(shown, credit_notes_of(documents, shown), language_of(request)),
            others=[one for one in documents if one is not shown],
            is_receipt_foreign=await is_receipt_foreign(request, appointment),
        )

    @get(f"{_ONE}/receipt.pdf")
    async def receipt_as_file(
        self, request: AnyRequest, provider_id: ProviderId, booking_id: FromPath[UUID], number: Number = ""
    ) -> Response[bytes]:
        await own_appointment(request, provider_id, booking_id)
        documents = await documents_of(services(request).database, provider_id, booking_id)
        shown = chosen(documents, number)
        if shown is None:
            raise NotFound
        return document(
            request,
            await receipt_file(shown, credit_notes_of(documents, shown), language_of(request)),
            "application/pdf",
            headers={
                "Cache-Control": "private, no-cache",
                # Files are seen by others: its name says whose it is to nobody, nor what for.
                "Content-Disposition": f'inline; filename="HealthPlus-{number_of(booking_id)}.pdf"',
            },
        )
