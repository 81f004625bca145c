"""Commands that change when a provider can be booked, through the same verbs as everything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time
from typing import TypeVar, assert_never
from uuid import UUID
from zoneinfo import ZoneInfo

import click

from healthplus.accounts.actors import System
from healthplus.booking.book import Book, Shift
from healthplus.booking.calls import queries
from healthplus.booking.outcomes import ScheduleChanged, ScheduleRefused
from healthplus.database import Database, Record
from healthplus.directory.commands import ID, with_database
from healthplus.errors import BadInput, Conflict, NotFound
from healthplus.schedule.shift_text import Shift as TextShift
from healthplus.schedule.shift_text import parse_shifts
from healthplus.settings import Settings

T = TypeVar("T")

_ACTOR = System("operator")
_YEAR_MAX = 2199
flag_option = click.option(
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


@shift_group.command("list")
@click.argument("provider_id", type=ID)
@click.pass_obj
def list_shifts_command(settings: Settings, provider_id: int) -> None:
    """List a provider's shifts, with the ids that `remove` takes."""
    rows = with_database(settings, lambda database: database.fetch(queries.shifts, provider_id), reads=True)
    if not rows:
        click.echo("No shifts: nothing can be booked.")
    for row in rows:
        shift = TextShift(row["weekday"], row["starts"], row["ends"], row["slot_minutes"])
        more = [f" {name}={row[name]}" for name in ("seats", "slots_max") if row[name] != 1]
        more += [f" release_hours={row['release_hours']}"] if row["release_hours"] is not None else []
        more += [f", from {row['valid_from']}"] if row["valid_from"] else []
        more += [f", before {row['valid_to']}"] if row["valid_to"] else []
        click.echo(
            f"shift {row['shift_id']}, clinic {row['clinic_id']} ({row['clinic']}): "
            f"{shift}/{row['slot_minutes']}{''.join(more)}"
        )


@shift_group.command("remove")
@click.argument("provider_id", type=ID)
@click.argument("shift_id", type=ID)
@flag_option
@click.pass_obj
def remove_shift_command(settings: Settings, provider_id: int, shift_id: int, flag_for_rebooking: bool) -> None:
    """End a shift; `shift list` shows the ids."""

    async def remove(database: Database) -> ScheduleChanged | ScheduleRefused:
        for row in await database.fetch(queries.shifts, provider_id):
            if row["shift_id"] == shift_id:
                shift = Shift(
                    provider_id, shift_id, row["clinic_id"], row["weekday"], _clock(row["starts"]), _clock(row["ends"]),
                    row["slot_minutes"],
                )  # fmt: skip
                return await Book(database).change_shift(
                    shift, _ACTOR, remove=True, flag_for_rebooking=flag_for_rebooking
                )
        raise NotFound(f"There is no shift {shift_id}; `healthplus shift list {provider_id}` shows them.")

    _require_changed(with_database(settings, remove), "The shift was not ended")
    click.echo("The shift is ended.")


@click.group("leave")
def leave_group() -> None:
    """Times a provider is away."""


@leave_group.command("add")
@click.argument("provider_id", type=ID)
@click.argument("starts_at", type=click.DateTime(["%Y-%m-%dT%H:%M%z"]))
@click.argument("ends_at", type=click.DateTime(["%Y-%m-%dT%H:%M%z"]))
@click.option("--clinic", "clinic_id", type=ID, help="Away from this clinic only.")
@click.option("--reason", default="")
@flag_option
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


@leave_group.command("list")
@click.argument("provider_id", type=ID)
@click.pass_obj
def list_leaves_command(settings: Settings, provider_id: int) -> None:
    """List a provider's leaves that are not over, with the ids that `remove` takes."""
    rows = with_database(settings, lambda database: database.fetch(queries.leaves, provider_id), reads=True)
    if not rows:
        click.echo("No leave.")
    for row in rows:
        where = f"clinic {row['clinic_id']} ({row['clinic']})" if row["clinic_id"] else "all clinics"
        reason = f", {row['reason']}" if row["reason"] else ""
        click.echo(f"leave {row['leave_id']}, {where}: {_local(row, 'starts_at')} to {_local(row, 'ends_at')}{reason}")


@leave_group.command("remove")
@click.argument("provider_id", type=ID)
@click.argument("leave_id", type=click.UUID)
@click.pass_obj
def remove_leave_command(settings: Settings, provider_id: int, leave_id: UUID) -> None:
    """Take a leave back: what was to be rebooked because of it stands again, and the patients are told."""

    async def remove(database: Database) -> tuple[ScheduleChanged | ScheduleRefused, int]:
        former = await database.fetch_value(queries.version, provider_id)
        outcome = await Book(database).remove_leave(provider_id, leave_id, _ACTOR)
        return outcome, await database.fetch_value(queries.count_stands, provider_id, former)

    outcome, stands = with_database(settings, remove)
    if outcome.code == "not_found":
        raise NotFound(f"There is no leave {leave_id}; `healthplus leave list {provider_id}` shows them.")
    _require_changed(outcome, "The leave was not taken back")
    click.echo(f"The leave is taken back. Appointments that stand again: {stands}.")


def _local(row: Record, field: str) -> str:
    """Return an instant by the clinic's clock, as `leave add` takes it."""
    at: datetime = row[field]
    return f"{at.astimezone(ZoneInfo(row['time_zone'] or 'UTC')):%Y-%m-%dT%H:%M%z}"


def _with_book(settings: Settings, act: Callable[[Book], Awaitable[T]]) -> T:
    return with_database(settings, lambda database: act(Book(database)))


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
