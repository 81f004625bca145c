"""Commands that change when a provider can be booked, through the same verbs as everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time
from typing import TypeVar

import click

from healthplus.booking.book import Book, Outcome, Shift
from healthplus.database import Database, running_database
from healthplus.directory.commands import ID
from healthplus.directory.shift_text import parse_shifts
from healthplus.errors import BadInput, Conflict
from healthplus.settings import Settings

T = TypeVar("T")

_ACTOR = "operator"
_YEAR_MAX = 2199
_flag = click.option(
    "--flag-for-rebooking",
    is_flag=True,
    help="Go ahead although bookings are in the way; each is flagged, none cancelled.",
)


@click.group("shift")
def shift_group() -> None:
    """The hours a provider can be booked, week by week."""


@shift_group.command("add")
@click.argument("provider_id", type=ID)
@click.argument("clinic_id", type=ID)
@click.argument("shifts")
@click.pass_obj
def add_shift_command(settings: Settings, provider_id: int, clinic_id: int, shifts: str) -> None:
    """Add weekly shifts, such as "Mon-Fri 09:00-13:00/10; Sat 10:00-12:00/15 seats=2", in the clinic's local time."""

    async def add(book: Book) -> int:
        parsed = parse_shifts(shifts)
        if not parsed:
            raise BadInput('Say which shifts, as in "Mon-Fri 09:00-13:00/10".')
        for shift in parsed:
            outcome = await book.change_shift(
                Shift(
                    provider_id,
                    None,
                    clinic_id,
                    shift.weekday,
                    _clock(shift.starts),
                    _clock(shift.ends),
                    shift.slot_minutes,
                    shift.seats,
                    shift.slots_max,
                ),
                _ACTOR,
            )
            _demand_changed(outcome, f"{shift} was not added")
        return len(parsed)

    click.echo(f"Shifts added: {_with_book(settings, add)}.")


@click.group("leave")
def leave_group() -> None:
    """Times a provider is away."""


@leave_group.command("add")
@click.argument("provider_id", type=ID)
@click.argument("starts_at", type=click.DateTime(["%Y-%m-%dT%H:%M%z"]))
@click.argument("ends_at", type=click.DateTime(["%Y-%m-%dT%H:%M%z"]))
@click.option("--clinic", "clinic_id", type=ID, help="Away from this clinic only.")
@click.option("--reason", default="")
@_flag
@click.pass_obj
def add_leave_command(
    settings: Settings,
    provider_id: int,
    starts_at: datetime,
    ends_at: datetime,
    clinic_id: int | None,
    reason: str,
    flag_for_rebooking: bool,
) -> None:
    """Close a time, given with its offset: 2026-12-24T00:00+0530."""
    if ends_at <= starts_at:
        raise BadInput("A leave must end after it starts.")
    if ends_at.year > _YEAR_MAX:
        raise BadInput(f"A leave must end before the year {_YEAR_MAX + 1}.")

    async def add(book: Book) -> Outcome:
        if ends_at <= await book.now():
            raise BadInput("A leave must not end in the past.")
        return await book.add_leave(
            provider_id,
            clinic_id,
            starts_at.astimezone(UTC),
            ends_at.astimezone(UTC),
            reason,
            _ACTOR,
            flag_for_rebooking=flag_for_rebooking,
        )

    _demand_changed(_with_book(settings, add), "The leave was not added")
    click.echo("Added the leave.")


def _with_book(settings: Settings, act: Callable[[Book], Awaitable[T]]) -> T:
    async def run(dsn: str) -> T:
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            return await act(Book(database))

    with running_database(settings) as dsn:
        return asyncio.run(run(dsn))


def _demand_changed(outcome: Outcome, failure: str) -> None:
    reasons = {
        "not_found": "there is no such provider, or not at that clinic; `healthplus find NAME` shows the ids.",
        "shift_overlap": "it overlaps another shift of this provider.",
        "conflict": "bookings are in the way: "
        + ", ".join(map(str, outcome.conflicts or []))
        + ". Move them first, or give --flag-for-rebooking.",
    }
    if outcome.code != "changed":
        raise Conflict(f"{failure}: {reasons.get(outcome.code, outcome.code)}")


def _clock(minutes: int) -> time:
    return time(*divmod(minutes % (24 * 60), 60))
