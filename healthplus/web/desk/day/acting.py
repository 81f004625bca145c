"""What a press on a page of the day does: an act of one appointment is recorded, or taken back."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from litestar import Response

from healthplus.console.console import queries
from healthplus.errors import NotFound
from healthplus.web.desk.day.phone_queue import SERVED
from healthplus.web.desk.day.sheet import ACTS
from healthplus.web.desk.session import console, require_staff
from healthplus.web.languages import N_
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.session import form_of
from healthplus.web.services import AnyRequest, services

REFUSED = {
    "wrong_state": N_("This was not recorded: somebody else recorded something meanwhile. What is shown now is right."),
    "another_day": N_("This was not recorded: the appointment is on another day."),
    "too_early": N_("This was not recorded: nobody counts as not come before the doctor’s session is over."),
    "was_to_rebook": N_(
        "This was not recorded: the doctor was to be away, and the patient was asked to choose another time. Nobody "
        "counts that as not come."
    ),
    "just_called": N_("This was not recorded: they were called less than two minutes ago. Give them time to come."),
    "not_next": N_("This was not recorded: by the rule somebody else is next."),
    "too_late": N_(
        "This was not undone: three minutes are over, or somebody recorded more. A ward administrator can correct it."
    ),
    "not_last": N_(
        "This was not undone: something else was recorded or changed since the page was shown. "
        "What is shown now is right."
    ),
    "overlap": N_("This was not undone: the patient has booked something else at this time."),
    "same_day": N_("This was not undone: the patient has booked something else on that day."),
    "slot_full": N_("This was not undone: its time was taken meanwhile."),
    "slot_held": N_("This was not undone: its time went to the queue, or somebody holds it."),
    "no_such_slot": N_("This was not undone: the doctor does not work then any more."),
    "cap_reached": N_("This was not undone: meanwhile as many as the clinic allows are beside the times."),
}
DONE = {
    **SERVED,
    **ACTS,
    "call": N_("Called"),
    "undo": N_("Undone"),
    "book": N_("Booked"),
    "overbook": N_("Booked once more"),
}


class Pressed(NamedTuple):
    """What was pressed, and why it was not recorded, by its word ("": it was)."""

    act: str
    booking_id: UUID
    refused: str


async def press(request: AnyRequest, clinic_id: int, provider_id: int) -> Pressed:
    """Record what the pressed button of a form says, `do`: an act, its booking, and where that stood on the page.

    Raises NotFound for what is not there.
    """
    act, _, about = (await form_of(request)).get("do", "").partition(" ")
    booking, _, seen = about.partition(" ")
    try:
        booking_id = UUID(booking)
    except ValueError:
        raise NotFound from None
    if act not in ACTS:
        raise NotFound
    row = await console(request).change(
        queries.record_attendance, clinic_id, provider_id, booking_id, act, seen or None
    )
    assert row is not None
    if row["code"] == "not_found":
        raise NotFound
    services(request).book.changed(provider_id)
    return Pressed(act, booking_id, "" if row["code"] in ("recorded", "undone") else row["code"])


def is_for_own_page(request: AnyRequest, clinic_id: int) -> bool:
    """Return whether who pressed sees no page of the clinic's, but their own day."""
    return not require_staff(request).may("see_clinic", clinic_id)


def back_to(request: AnyRequest, path: str, pressed: Pressed) -> Response[str]:
    """Lead to a page of the day, at the patient's row; it says what became of what was pressed."""
    said = {"refused": pressed.refused} if pressed.refused else {"done": pressed.act}
    query = urlencode({**said, "about": pressed.booking_id})
    return see_other(request, f"{path}?{query}#visit-{pressed.booking_id}")


def own_page(request: AnyRequest, clinic_id: int, pressed: Pressed) -> Response[str]:
    """Lead a doctor to their own day, which says what became of what they pressed elsewhere."""
    return back_to(request, f"/desk/own/{clinic_id}", pressed)
