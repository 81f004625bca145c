"""What the office's pages that are of no one clinic share: they are for administrators."""

from __future__ import annotations

from typing import Any

from litestar import Response

from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import Typed
from healthplus.web.desk.session import desk_page
from healthplus.web.services import AnyRequest


def administration_page(
    request: AnyRequest, template: str, tab: str, form: Form | None = None, **values: Any
) -> Response[str]:
    """Return a page of the office of all clinics. With a form that has errors, its status says so."""
    return desk_page(
        request,
        f"office/{template}",
        status=422 if form is not None and form.errors else values.pop("status", 200),
        tab=tab,
        given=Typed(form.given if form else {}),
        errors=Typed(form.errors if form else {}),
        done=request.query_params.get("done", "") if request.method == "GET" else "",
        counts=Typed(),
        answer=None,
        **values,
    )
