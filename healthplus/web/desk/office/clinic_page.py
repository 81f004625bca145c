"""The page of what a clinic says of itself, and shows: its forms are answered by several handlers."""

from __future__ import annotations

from typing import Any

from litestar import Response

from healthplus.console.console import queries
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import ask, marks_of, office_page, take_over
from healthplus.web.desk.office.upload import PHOTO_BYTES_MAX
from healthplus.web.pages.rendering import language_of
from healthplus.web.services import AnyRequest

PICTURES_MAX = 6
_FIELDS = ("name", "address", "postal_code", "phone", "gstin", "upi_id", "latitude", "longitude", "lead_minutes")


async def clinic_page(
    request: AnyRequest, clinic_id: int, form: Form | None = None, answer: dict[str, Any] | None = None
) -> Response[str]:
    clinic = await ask(request, queries.office, clinic_id)
    stored = {name: str(clinic[name] or "") for name in _FIELDS} | {"facilities": ", ".join(clinic["facilities"])}
    changed: list[str] = []
    if form is None:
        form = Form({**stored, "marks": marks_of(stored)}, language_of(request))
    elif "name" not in form.given:  # of a picture, or of closing
        form.given = {**stored, "marks": marks_of(stored), **form.given}
    elif answer and answer["code"] == "stale":
        changed = take_over(form, stored)
    return office_page(
        request,
        "clinic.html",
        clinic_id,
        "clinic",
        form,
        clinic=clinic,
        answer=answer,
        stored=stored,
        changed=changed,
        zone=clinic["time_zone"],
        pictures_max=PICTURES_MAX,
        photo_bytes_max=PHOTO_BYTES_MAX,
    )
