"""What the pages of a clinic's office share: how they are shown, and how a change that was refused is answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from litestar import Response

from healthplus.errors import NotFound
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.session import console, desk_page
from healthplus.web.languages import N_
from healthplus.web.pages.booking import parsed_instant
from healthplus.web.pages.rendering import language_of
from healthplus.web.pages.session import form_of
from healthplus.web.services import AnyRequest

BODY_BYTES_MAX = 256 * 1024
"""Of a form that lists what is in the way."""
_MOVE = re.compile(r"move_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_NOT_MOVED = {
    "slot_full": N_("This time was taken meanwhile. Choose another."),
    "slot_held": N_("Somebody else holds this time. Choose another."),
}
REFUSED = {
    "shift_overlap": N_("This overlaps another shift of theirs, here or at another clinic."),
    "invalid": N_("These times make no shift: it has to end after it starts, and be as long as one slot."),
}


class Document(dict[str, Any]):
    """An object of which a template may ask what it has not."""

    def __missing__(self, key: str) -> None:
        return None


class Typed(dict[str, str]):
    """What was typed, or said of it, by field; nothing is an empty text."""

    def __missing__(self, key: str) -> str:
        return ""


async def read_form(request: AnyRequest) -> Form:
    return Form(await form_of(request), language_of(request))


async def ask(request: AnyRequest, sql: str, *args: object) -> dict[str, Any]:
    """Return the object that a function of the console answers, with times as such. Raises NotFound for none."""
    document = await console(request).fetch_value(sql, *args)
    if document is None:
        raise NotFound
    found: dict[str, Any] = with_instants(document)
    return found


async def change(request: AnyRequest, sql: str, *args: object) -> dict[str, Any]:
    """Return what a function of the console answers that changed something. Raises NotFound."""
    row = await console(request).change(sql, *args)
    assert row is not None
    answer = row["answer"] if isinstance(row["answer"], dict) else {"code": row["answer"]}
    if answer.get("code") == "not_found":
        raise NotFound
    found: dict[str, Any] = with_instants(answer)
    return found


def with_instants(value: Any) -> Any:
    """Return a document of the database in which instants are times: fields that end in _at, and lists of `starts`."""
    if isinstance(value, dict):
        return Document({key: _with_instant(key, item) for key, item in value.items()})
    if isinstance(value, list):
        return [with_instants(item) for item in value]
    return value


def _with_instant(key: str, value: Any) -> Any:
    if isinstance(value, str) and key.endswith("_at"):
        return datetime.fromisoformat(value)
    if key == "starts" and isinstance(value, list):
        return [datetime.fromisoformat(one) for one in value]
    return with_instants(value)


def seen_at(form: Form) -> datetime | None:
    """Return when the sender was shown what is in the way; None where they were not."""
    return parsed_instant(form.given.get("seen", ""))


def moves_of(form: Form) -> dict[str, str]:
    """Return where bookings in the way are to be moved: starts by their ids. The others' patients choose themselves."""
    found = {}
    for field, value in form.given.items():
        matched = _MOVE.fullmatch(field)
        if matched is None or not value:
            continue
        if (start := parsed_instant(value)) is not None:
            found[matched[1]] = start.isoformat()
    return found


def moved_and_flagged(answer: Mapping[str, Any]) -> dict[str, int]:
    """Return how many appointments a change of schedule moved and flagged, or let stand again; but for none."""
    return {name: answer[name] for name in ("moved", "flagged", "stands") if answer[name]}


def note_refusal(form: Form, answer: Mapping[str, Any], request: AnyRequest, field: str = "starts") -> None:
    """Have a form say why a change of schedule was refused."""
    say = language_of(request).gettext
    code = answer["code"]
    if code == "not_moved":
        text = _NOT_MOVED.get(answer["why"], N_("This appointment cannot be moved there. Choose another time."))
        form.fail(f"move_{answer['booking_id']}", say(text))
    elif code == "conflict" and form.given.get("seen"):
        form.fail("seen", say(N_("Meanwhile others booked or held times that are in the way. Look again.")))
    elif code in REFUSED:
        form.fail(field, say(REFUSED[code]))


def office_page(
    request: AnyRequest, template: str, clinic_id: int, tab: str, form: Form | None = None, **values: Any
) -> Response[str]:
    """Return a page of a clinic's office; its status says that a form has errors, or that something is in its way."""
    status = values.pop("status", 200)
    if form is not None and form.errors:
        status = 422
    elif values.get("answer"):
        status = 409
    return desk_page(
        request,
        f"office/{template}",
        status=status,
        clinic_id=clinic_id,
        tab=tab,
        given=Typed(form.given if form else {}),
        errors=Typed(form.errors if form else {}),
        done=request.query_params.get("done", "") if request.method == "GET" else "",
        counts={name: request.query_params.get(name, "")[:6] for name in ("moved", "flagged", "stands", "providers")},
        **{"answer": None, **values},
    )
