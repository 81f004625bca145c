"""Refunds that failed as often as they are tried by themselves, each with what to do about it."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from healthplus.booking.numbers import number_of
from healthplus.console.console import queries
from healthplus.errors import NotFound, ProofDue
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import office_page, read_form
from healthplus.web.desk.session import console, needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.pages.rendering import see_other
from healthplus.web.services import AnyRequest

_REFERENCE_LENGTHS = (4, 60)


class RefundsController(Controller):
    path = "/office/{clinic_id:int}/refunds"

    @get(**needs("change_booking"))
    async def refunds(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        return await _refunds_page(request, clinic_id)

    @post("/{refund_id:uuid}/again", **needs("change_booking"))
    async def again(self, request: AnyRequest, clinic_id: ClinicId, refund_id: FromPath[UUID]) -> Response[str]:
        """Have a refund be tried again at once."""
        return await _settle(request, clinic_id, refund_id, None)

    @post("/{refund_id:uuid}/paid", **needs("change_booking"))
    async def paid(self, request: AnyRequest, clinic_id: ClinicId, refund_id: FromPath[UUID]) -> Response[str]:
        """Record that it was paid by bank transfer instead, under the reference of that."""
        form = await read_form(request)
        low, high = _REFERENCE_LENGTHS
        reference = form.text("reference", high, required=True)
        if len(reference) < low:
            form.fail("reference", form.gettext("The number that your bank gave the transfer, as 412345678901."))
        if not form.is_good:
            form.errors[f"refund-{refund_id}"] = form.errors.pop("reference")
            return await _refunds_page(request, clinic_id, form, refund_id)
        return await _settle(request, clinic_id, refund_id, reference)


async def _settle(request: AnyRequest, clinic_id: int, refund_id: UUID, reference: str | None) -> Response[str]:
    try:
        row = await console(request).change(queries.settle_refund, clinic_id, refund_id, reference)
    except ProofDue:
        raise ProofDue(back_to=f"/office/{clinic_id}/refunds") from None
    assert row is not None
    if row["answer"] == "not_found":
        raise NotFound
    return see_other(request, f"/office/{clinic_id}/refunds", {"done": row["answer"]})


async def _refunds_page(
    request: AnyRequest, clinic_id: int, form: Form | None = None, refund_id: UUID | None = None
) -> Response[str]:
    """Show the refunds, with what was typed for one of them. Raises NotFound where that is not among them."""
    refunds = await console(request).fetch(queries.failed_refunds, clinic_id)
    if refund_id is not None and refund_id not in [row["refund_id"] for row in refunds]:
        raise NotFound
    return office_page(
        request,
        "refunds.html",
        clinic_id,
        "refunds",
        form,
        clinic=await read_clinic(request, clinic_id),
        refunds=refunds,
        number_of=number_of,
    )
