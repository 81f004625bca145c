"""An appointment's receipts and credit notes, for the desk to print: its history leads to them."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, get
from litestar.params import FromPath, QueryParameter

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.receipts.receipts import Document, chosen, credit_notes_of, document_of
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.session import console, desk_page, needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.pages.receipt_file import receipt_file
from healthplus.web.pages.rendering import document, language_of
from healthplus.web.services import AnyRequest

Number = Annotated[str, QueryParameter(max_length=40)]


class DeskReceiptController(Controller):
    path = "/desk/{clinic_id:int}/{day:date}/visit/{booking_id:uuid}"

    @get("/receipts", **needs("see_clinic"))
    async def receipts(
        self, request: AnyRequest, clinic_id: ClinicId, day: FromPath[date], booking_id: FromPath[UUID]
    ) -> Response[str]:
        return desk_page(
            request,
            "day/receipts.html",
            clinic=await read_clinic(request, clinic_id),
            clinic_id=clinic_id,
            day=day,
            booking_id=booking_id,
            number=number_of(booking_id),
            documents=await _documents(request, clinic_id, booking_id),
        )

    @get("/receipt.pdf", **needs("see_clinic"))
    async def receipt_as_file(
        self,
        request: AnyRequest,
        clinic_id: ClinicId,
        day: FromPath[date],  # noqa: ARG002 - of the address
        booking_id: FromPath[UUID],
        number: Number = "",
    ) -> Response[bytes]:
        documents = await _documents(request, clinic_id, booking_id)
        shown = chosen(documents, number)
        if shown is None:
            raise NotFound
        return document(
            request,
            await receipt_file(shown, credit_notes_of(documents, shown), language_of(request)),
            "application/pdf",
            headers={"Content-Disposition": f'inline; filename="HealthPlus-{number_of(booking_id)}.pdf"'},
        )


async def _documents(request: AnyRequest, clinic_id: int, booking_id: UUID) -> list[Document]:
    """Return an appointment's documents. Raises NotFound where the clinic has no such appointment."""
    rows = await console(request).fetch(queries.booking_receipts, clinic_id, booking_id)
    if not rows:
        raise NotFound
    return [document_of(row) for row in rows if row["kind"]]
