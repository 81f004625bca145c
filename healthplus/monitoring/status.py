"""The state of the product on one screen, from what the database and its disk say; for people, and for scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from healthplus.backup.state import BackupState
from healthplus.database import Database, FreeSpace, PostgresError, Record
from healthplus.database.logins import IS_SHARED, MAKERS, ONE_LOGIN, logins_beside, makers_fault
from healthplus.database.release import RELEASE
from healthplus.errors import HealthPlusError
from healthplus.fonts import NO_FONT, hindi_font
from healthplus.money import in_units
from healthplus.monitoring.figures import Read, read_figures
from healthplus.monitoring.readiness import LIMITS, DatabaseChecks, Readiness
from healthplus.monitoring.reporter import queries
from healthplus.payments.account_faults import account_faults
from healthplus.settings import Settings

DUE_SECONDS_MAX = 600.0
"""Money that is due for longer is a fault: captures and refunds take seconds."""
LATE_SECONDS_MAX = 30.0
"""A hold that should have ended for longer, likewise."""
UNCHAINED_SECONDS_MAX = 60.0
"""An entry of the audit is in its chain within seconds, unless a transaction stays open."""
SILENT_SECONDS = 30.0
"""An app process says every few seconds that it lives; one that has not for so long is not counted."""
TASK_SECONDS_MAX = 300.0
"""So long ago, a background task stands still."""
_MAY_TAKE_LONGER = ("retention", "word counts")
REPLICA_SECONDS_MAX = 60.0
_DAYS = 1


@dataclass
class Status:
    """What there is to see. `faults`: sentences for what needs somebody; none, when all is well."""

    reasons: list[str]
    """Why bookings cannot be made; none, when they can."""
    is_login_shared: bool | None = None
    """Whether staff have no logins of their own at the database. None: it cannot be asked."""
    makers: str | None = None
    """Which logins could do what the owner of the database may, and what ends that; None: none."""
    database: str = ""
    """Which was looked at: where the service has other settings, that may be another than it works on."""
    release: int = RELEASE
    database_release: int | None = None
    processes: list[dict[str, Any]] = field(default_factory=list)
    silent: list[dict[str, Any]] = field(default_factory=list)
    """App processes that were killed in the last hour, or stand still."""
    backup: BackupState | None = None
    """None: none is set up, or the database cannot be asked."""
    book: dict[str, Any] = field(default_factory=dict)
    money_due: list[dict[str, Any]] = field(default_factory=list)
    money_totals: list[dict[str, Any]] = field(default_factory=list)
    money_settled: list[dict[str, Any]] = field(default_factory=list)
    account_faults: list[str] = field(default_factory=list)
    """What is missing for clinics to take money online."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    replicas: list[dict[str, Any]] = field(default_factory=list)
    disk: dict[str, float] | None = None
    tasks: dict[str, float] = field(default_factory=dict)
    has_hindi_font: bool = True
    """On the machine that is asked: it is no fault, and another may have one."""
    faults: list[str] = field(default_factory=list)


async def read_status(settings: Settings, dsn: str) -> Status:
    """Return the state; where the database cannot be asked, with that as the reason."""
    status = Status([], database=shown_database(settings))
    status.has_hindi_font = await asyncio.to_thread(hindi_font) is not None
    space = FreeSpace.of(settings)
    try:
        async with await Database.connect(dsn, 1, 1, LIMITS, "healthplus status") as database:
            database.space = space
            checks = DatabaseChecks(database, allow_unsafe_commits=settings.allow_unsafe_commits)
            status.reasons = await Readiness(checks.all()).reasons()
            _add(status, await read_figures(database, settings))
            status.database_release = await database.fetch_value(queries.database_release)
            status.is_login_shared = await database.fetch_value(IS_SHARED)
            app_role = await database.fetch_value("SELECT session_user")
            status.makers = makers_fault(await database.fetch(MAKERS, logins_beside(app_role)))
            for row in await database.fetch(queries.processes):
                (status.processes if row["seen_seconds"] < SILENT_SECONDS else status.silent).append(dict(row))
            status.account_faults = await account_faults(database, settings)
            status.errors = list(map(dict, await database.fetch(queries.errors, _DAYS)))
    except HealthPlusError as error:
        status.reasons = status.reasons or [error.detail]
    except PostgresError as error:
        status.reasons.append(
            f"The database is not as it should be: {error}. See docs/operate.md, A table was dropped."
        )
    if space.reason:
        status.reasons.append(space.reason)
    if not status.processes and space.has_room_for_changes:
        status.reasons.append("No app process has said in the last 30 seconds that it lives; start `healthplus serve`.")
    if (room := space.measure()) is not None:
        status.disk = room._asdict()
    for process in status.processes:
        for task, seconds in process["tasks"].items():
            status.tasks[task] = max(status.tasks.get(task, 0.0), seconds + process["seen_seconds"])
    status.faults = [f"Bookings cannot be made: {reason}" for reason in status.reasons] + list(_faults(status))
    return status


def shown_database(settings: Settings) -> str:
    """Return which database these settings lead to, without a password."""
    if settings.database_folder is not None or not settings.database_url:
        return f"embedded, in {settings.data_folder}"
    parts = urlsplit(settings.database_url)
    return f"{parts.path.lstrip('/')} at {parts.netloc.rpartition('@')[2] or 'a socket'}"


def _add(status: Status, read: Read) -> None:
    status.book = dict(read.book)
    status.backup = read.backup if read.backup.is_wanted else None
    status.money_due, status.money_totals, status.money_settled, status.replicas = (
        list(map(dict, rows)) for rows in (read.money_due, read.money_totals, read.money_settled, read.replicas)
    )


def _faults(status: Status) -> Iterator[str]:
    if status.makers is not None:
        yield status.makers
    if status.backup is not None:
        yield from _backup_faults(status.backup)
    yield from _book_faults(status.book)
    yield from status.account_faults
    for due in status.money_due:
        if due["oldest_seconds"] > DUE_SECONDS_MAX:
            yield f"Money is due at the gateway ({due['step']}, {due['currency']}) for more than ten minutes."
    for replica in status.replicas:
        if replica["lag_seconds"] > REPLICA_SECONDS_MAX:
            yield f"The replica {replica['name']} is more than a minute behind."
    for task, seconds in status.tasks.items():
        if seconds > TASK_SECONDS_MAX and task not in _MAY_TAKE_LONGER:
            yield f"The background task {task!r} has not done its work for more than five minutes."


def _book_faults(book: dict[str, Any]) -> Iterator[str]:
    if book.get("lag_seconds", 0.0) > LATE_SECONDS_MAX:
        yield "Holds end late."
    if book.get("unchained_seconds", 0.0) > UNCHAINED_SECONDS_MAX:
        yield "The audit has not been chained for more than a minute."


def _backup_faults(backup: BackupState) -> Iterator[str]:
    if backup.is_full_late:
        yield "There is no full back-up of the last 26 hours."
    if backup.is_behind:
        yield "For more than a minute, what was written has not reached the back-up."
    if backup.is_proof_late:
        yield "Restoring a back-up was not proven in the last 26 hours."
    if backup.problem is not None:
        yield f"The last rehearsal of a restore failed: {backup.problem}"


def lines_of(status: Status) -> Iterator[tuple[str, str, bool]]:
    """Yield the lines of the screen: what it is about, what there is to say, and whether that needs somebody."""
    databases = "" if status.database_release == status.release else f"; database: release {status.database_release}"
    yield "HealthPlus", f"release {status.release}{databases}", False
    yield "Database", status.database, False
    yield from _logins(status)
    yield "Bookings", "can be made" if not status.reasons else "CANNOT be made", bool(status.reasons)
    for reason in status.reasons:
        yield "", reason, True
    yield "App processes", _processes(status.processes), not status.processes
    for one in status.silent:
        text = f"{one['machine']} {one['pid']} was last seen {_ago(one['seen_seconds'])}: killed, or it stands still"
        yield "Silent process", text, False
    if status.book:  # else the database could not be asked
        yield from _backup(status.backup)
        yield from _book(status.book)
    yield from _money(status)
    times = sum(row["times"] for row in status.errors)
    kinds = f", of {len(status.errors)} kinds; see `healthplus errors`" if times else ""
    yield "Errors", f"{times} in the last day{kinds}", False
    if status.disk is not None:
        free, floor = status.disk["free_bytes"], status.disk["bookings_floor_bytes"]
        text = f"{_size(free)} free of {_size(status.disk['all_bytes'])}; bookings need {_size(floor)}"
        yield "Disk", text, free < floor
    if not status.has_hindi_font:
        yield "Fonts", NO_FONT, False
    if not status.replicas:
        yield "Replicas", "none", False
    for one in status.replicas:
        text = f"{one['name']}, {one['sync_state']}: {_size(one['lag_bytes'] or 0)}, {one['lag_seconds']:.1f} s behind"
        yield "Replicas", text, one["lag_seconds"] > REPLICA_SECONDS_MAX
    if status.tasks:
        yield "Tasks ran", ", ".join(f"{name} {_ago(at)}" for name, at in sorted(status.tasks.items())), False


def _logins(status: Status) -> Iterator[tuple[str, str, bool]]:
    for text in (ONE_LOGIN if status.is_login_shared else None, status.makers):
        if text is not None:
            yield "", text, True


def _backup(backup: BackupState | None) -> Iterator[tuple[str, str, bool]]:
    if backup is None:
        yield "Back-up", "none is set up", False
        return
    yield "Full back-up", _ago(backup.full_age_seconds), backup.is_full_late
    yield "Backed up until", _ago(backup.wal_age_seconds), backup.is_behind
    measured = ""
    if backup.rpo_seconds is not None and backup.rto_seconds is not None:
        measured = f"; {backup.rpo_seconds:.0f} s would have been lost, and restoring took {backup.rto_seconds:.0f} s"
    yield "Restore proven", f"{_ago(backup.proven_age_seconds)}{measured}", backup.is_proof_late
    if backup.problem is not None:
        yield "", backup.problem, True


def _book(book: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    yield "Held now", f"{book['holds']} by patients, {book['offers']} offered to those who queue", False
    queued = f"{book['waiting']} tickets at {book['queues']} providers, and {book['called']} called"
    yield "Queues", queued, False
    lag = book["lag_seconds"]
    yield "Holds end", f"{lag:.1f} s late at most" if lag else "in time", lag > LATE_SECONDS_MAX
    if (unchained := book["unchained_seconds"]) > UNCHAINED_SECONDS_MAX:
        yield "Audit", f"its chain stands still since {_ago(unchained)}", True


def _money(status: Status) -> Iterator[tuple[str, str, bool]]:
    rows = (*status.money_totals, *status.money_due, *status.money_settled)
    for currency in sorted({row["currency"] for row in rows}):
        reached = [row for row in status.money_totals if row["currency"] == currency]
        yield f"Money {currency}", ", ".join(map(_total, reached)) or "none counted yet", False
        for row in status.money_settled:
            if row["currency"] == currency:
                yield "  paid out", _settled(row), False
        for due in status.money_due:
            if due["currency"] == currency:
                yield f"  {due['step']} due", _due(due), due["oldest_seconds"] > DUE_SECONDS_MAX


def _total(row: dict[str, Any]) -> str:
    return f"{row['state']} {row['payments']} ({_amount(row)})"


def _settled(row: dict[str, Any]) -> str:
    columns = ("amount_minor", "fee_minor", "tax_minor")
    amount, fee, tax = (f"{in_units(row[column], row['currency']):,}" for column in columns)
    return f"{row['settlements']} settlements ({amount}); kept by the gateways: {fee}, of it {tax} tax"


def _due(row: dict[str, Any]) -> str:
    return f"{row['payments']} ({_amount(row)}), the oldest {_ago(row['oldest_seconds'])}"


def _amount(row: dict[str, Any]) -> str:
    return f"{in_units(row['amount_minor'], row['currency']):,}"


def _processes(processes: list[dict[str, Any]]) -> str:
    each = (f"{one['machine']} {one['pid']} (release {one['release']})" for one in processes)
    return f"{len(processes)}: {', '.join(each)}" if processes else "none"


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return "never"
    for length, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _size(size_bytes: float) -> str:
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes >= 1 << power:
            return f"{size_bytes / (1 << power):.1f} {unit}"
    return f"{size_bytes:.0f} B"


def error_line(row: Record) -> str:
    """Return a fault in two lines for a terminal."""
    about = f"{row['last_at']:%Y-%m-%d %H:%M:%S}  {row['times']:>7} x  {row['type']}  {row['route']}"
    request = f"request {row['request_id']}, " if row["request_id"] else ""
    since = f"since {row['first_at']:%Y-%m-%d %H:%M}"
    return f"{about}\n    {request}release {row['release']}, {since}: {row['place']}"
