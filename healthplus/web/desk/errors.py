"""Errors as pages for members of the staff, in the frame that their other pages have."""

from __future__ import annotations

from http import HTTPStatus

from litestar import Response

from healthplus.errors import CrossSite
from healthplus.staff.rights import RIGHTS
from healthplus.web.desk.session import desk_page
from healthplus.web.desk.texts import ROLES
from healthplus.web.languages import N_, split_path
from healthplus.web.pages.errors import said_of
from healthplus.web.services import AnyRequest

_NOT_FOUND = (
    N_("Page not found"),
    N_("The address may be mistyped or old, or what was here is gone, or it belongs to another clinic."),
)
_SAID = {
    403: (N_("Your role does not allow this"), N_("Nothing was changed.")),
    404: _NOT_FOUND,
    405: _NOT_FOUND,
    429: (N_("Too many tries"), N_("Nothing was changed. Wait a little, then try again.")),
    503: (N_("Not just now"), N_("Nothing was changed. Reload the page in a minute to try again.")),
}
_FAULT = (
    N_("Something went wrong here"),
    N_("It is our fault, and we have been told. Go back and try again: nothing is done twice."),
)
_REFUSED = (
    N_("This cannot be done"),
    N_(
        "We could not understand this, or something has changed since you opened the page. "
        "Nothing was changed: go back, reload the page, and try again."
    ),
)
_CROSS_SITE = (
    N_("Nothing was changed"),
    N_("This form was sent from another site. Open the page here, and try again."),
)
_OUTCOME_UNKNOWN = (
    N_("Not just now"),
    N_(
        "Our answer was lost on its way, so we do not know whether this was done. "
        "Reload the page to ask again: it is done once at most."
    ),
)


def is_of_desk(request: AnyRequest) -> bool:
    """Return whether an address is one of the staff's, whether there is a page or not."""
    return split_path(request.url.path)[1].split("/")[1] in ("desk", "office")


def render(request: AnyRequest, error: Exception) -> Response[str]:
    """Turn any exception into a page of the desk; whose role does not allow something is told whose does."""
    problem, headers = said_of(request, error)
    status = problem["status"]
    title, text = _SAID.get(status, _FAULT if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _REFUSED)
    access = None
    if isinstance(error, CrossSite):
        title, text = _CROSS_SITE
    elif problem["code"] == "outcome_unknown":
        title, text = _OUTCOME_UNKNOWN
    elif status == HTTPStatus.FORBIDDEN:
        access = request.route_handler.opt.get("access")
    return desk_page(
        request,
        "error.html",
        status=status,
        headers=headers,
        title=title,
        text=text,
        is_forbidden=access is not None,
        is_of_clinic="clinic_id" in request.path_params,
        allowed=[ROLES[role] for right, roles in RIGHTS.items() if right == access for role in ROLES if role in roles],
        request_id=problem.get("request_id"),
    )
