"""Commands that change when a provider can be booked, through the same verbs as everything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time
from typing import TypeVar, assert_never

import click

from healthplus.accounts.actors import System
from healthplus.booking.book import Book, Shift
from healthplus.booking.outcomes import ScheduleChanged, ScheduleRefused
from healthplus.database import Database, running_database
from healthplus.directory.commands import ID
from healthplus.errors import BadInput, Conflict
from healthplus.schedule.shift_text import parse_shifts
from healthplus.settings import Settings

T = TypeVar("T")

_ACTOR = System("operator")
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
            _require_changed(outcome, f"{shift} was not added")
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

    async def add(book: Book) -> ScheduleChanged | ScheduleRefused:
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

    _require_changed(_with_book(settings, add), "The leave was not added")
    click.echo("Added the leave.")


def _with_book(settings: Settings, act: Callable[[Book], Awaitable[T]]) -> T:
    async def run(dsn: str) -> T:
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            return await act(Book(database))

    with running_database(settings) as dsn:
        return asyncio.run(run(dsn))


def _require_changed(outcome: ScheduleChanged | ScheduleRefused, failure: str) -> None:
    match outcome.code:
        case "changed":
            return
        case "not_found":
            why = "there is no such provider, or not at that clinic; `healthplus find NAME` shows the ids."
        case "shift_overlap":
            why = "it overlaps another shift of this provider."
        case "conflict":
            ids = ", ".join(map(str, outcome.conflicts or []))
            why = f"bookings are in the way: {ids}. Move them first, or give --flag-for-rebooking."
        case "invalid":
            why = "its times make no shift or leave; check start, end and the length of a slot."
        case code:
            assert_never(code)
    raise Conflict(f"{failure}: {why}")


def _clock(minutes: int) -> time:
    return time(*divmod(minutes % (24 * 60), 60))
