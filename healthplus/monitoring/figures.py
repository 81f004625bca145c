"""What is so beyond the processes: in the database, on its disk, and of the back-ups; for metrics and for `status`."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from healthplus.backup.state import BackupState, backup_state
from healthplus.database import Database, FreeSpace, Limits, PostgresError, Record
from healthplus.errors import HealthPlusError
from healthplus.monitoring.reporter import queries
from healthplus.settings import Settings

FRESH_SECONDS = 5.0
"""How old what was read may be when it is given out again."""
SECONDS_MAX = 3.0
"""How long the database is waited for."""
LIMITS = Limits(wait_seconds=2, lock_seconds=0.3, statement_seconds=3, idle_seconds=5)


class Read(NamedTuple):
    """What the database says; rows are of the queries of these names."""

    book: Record
    money_due: list[Record]
    money_totals: list[Record]
    money_settled: list[Record]
    money_checks: Record
    replicas: list[Record]
    backup: BackupState


async def read_figures(database: Database, settings: Settings) -> Read:
    """Return what the database says; it takes milliseconds, however many bookings there are. Raises as `fetch`."""
    book = await database.fetch_row(queries.book_figures)
    money_checks = await database.fetch_row(queries.money_checks)
    assert book is not None
    assert money_checks is not None
    return Read(
        book,
        await database.fetch(queries.money_due),
        await database.fetch(queries.money_totals),
        await database.fetch(queries.money_settled),
        money_checks,
        await database.fetch(queries.replicas),
        await backup_state(database, settings),
    )


class Figures:
    """The same as metrics, at most FRESH_SECONDS old; over one connection of their own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._space = FreeSpace.of(settings)
        self._database: Database | None = None
        self._lock = asyncio.Lock()
        self._read_at = -FRESH_SECONDS
        self._found: list[Metric] = []

    async def read(self) -> list[Metric]:
        """Return the metrics; those of the database are missing while it does not answer."""
        async with self._lock:
            if time.monotonic() - self._read_at >= FRESH_SECONDS:
                self._found = [*await self._of_database(), *_of_disk(self._space)]
                self._read_at = time.monotonic()
            return self._found

    async def close(self) -> None:
        """End the connection."""
        if self._database is not None:
            await self._database.close()

    async def _of_database(self) -> list[Metric]:
        up = GaugeMetricFamily("healthplus_database_up", "1: the database answers.")
        try:
            if self._database is None:
                url = self._settings.database_url or ""
                self._database = await Database.connect(url, 1, 1, LIMITS, "healthplus metrics")
            async with asyncio.timeout(SECONDS_MAX):
                found = list(_of_read(await read_figures(self._database, self._settings)))
        except (HealthPlusError, PostgresError, TimeoutError):
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        return [up, *found]


def _of_read(read: Read) -> Iterator[Metric]:
    for name, about, column in (
        ("healthplus_holds", "Live holds of patients.", "holds"),
        ("healthplus_offers", "Live offers to those who queue.", "offers"),
        ("healthplus_queue_waiting", "Tickets that wait.", "waiting"),
        ("healthplus_queue_called", "Tickets that are called for a time that was let go.", "called"),
        ("healthplus_queues", "Providers in whose queue somebody waits.", "queues"),
        ("healthplus_expiry_lag_seconds", "How long what ought to have ended is over, at most.", "lag_seconds"),
        ("healthplus_audit_unchained_seconds", "How long the audit waits for its chain.", "unchained_seconds"),
    ):
        yield GaugeMetricFamily(name, about, read.book[column])
    due = GaugeMetricFamily(
        "healthplus_payments_due", "Payments that the gateway has yet to be told of.", labels=("step", "currency")
    )
    due_minor = GaugeMetricFamily(
        "healthplus_money_due_minor", "Their money, in the currency's smallest unit.", labels=("step", "currency")
    )
    oldest = GaugeMetricFamily(
        "healthplus_payments_due_oldest_seconds",
        "How long the oldest of them has been due.",
        labels=("step", "currency"),
    )
    # Each step is there in any case: an alert that has no sample cannot fire, nor end.
    rows = {(row["step"], row["currency"]): row for row in read.money_due}
    currencies = sorted({row["currency"] for row in (*read.money_due, *read.money_totals)})
    for step in ("capture", "void", "refund"):
        for currency in currencies:
            row = rows.get((step, currency))
            due.add_metric((step, currency), row["payments"] if row else 0)
            due_minor.add_metric((step, currency), row["amount_minor"] if row else 0)
            oldest.add_metric((step, currency), row["oldest_seconds"] if row else 0)
    yield from (due, due_minor, oldest)
    payments = CounterMetricFamily(
        "healthplus_payments", "Payments that reached a state, up to two minutes ago.", labels=("state", "currency")
    )
    money = CounterMetricFamily(
        "healthplus_money_minor",
        "Money that reached a state, in the currency's smallest unit, up to two minutes ago.",
        labels=("state", "currency"),
    )
    for row in read.money_totals:
        payments.add_metric((row["state"], row["currency"]), row["payments"])
        money.add_metric((row["state"], row["currency"]), row["amount_minor"])
    yield from (payments, money)
    yield from _of_comparing(read)
    yield GaugeMetricFamily("healthplus_replicas", "Servers that follow the database's.", len(read.replicas))
    lag_bytes = GaugeMetricFamily("healthplus_replica_lag_bytes", "What one has yet to apply.", labels=("replica",))
    lag = GaugeMetricFamily("healthplus_replica_lag_seconds", "How late one applies.", labels=("replica",))
    for number, row in enumerate(read.replicas):
        name = f"{row['name'] or 'unnamed'}-{number}" if _is_shared(row, read.replicas) else row["name"]
        lag_bytes.add_metric((name,), row["lag_bytes"] or 0)
        lag.add_metric((name,), row["lag_seconds"])
    yield from (lag_bytes, lag)
    yield from _of_backup(read.backup)


def _of_comparing(read: Read) -> Iterator[Metric]:
    """Yield what gateways settled, and what does not match."""
    kept = GaugeMetricFamily(
        "healthplus_gateway_fee_minor",
        "What gateways kept of what they settled, with the tax on it, in the currency's smallest unit.",
        labels=("currency",),
    )
    settled = GaugeMetricFamily(
        "healthplus_settled_minor", "What gateways paid out, in the currency's smallest unit.", labels=("currency",)
    )
    for row in read.money_settled:
        kept.add_metric((row["currency"],), row["fee_minor"])
        settled.add_metric((row["currency"],), row["amount_minor"])
    yield from (kept, settled)
    open_cases, late_days = read.money_checks["open_cases"], read.money_checks["late_days"]
    yield GaugeMetricFamily(
        "healthplus_money_cases_open", "Payments that do not match, and are not seen to.", open_cases
    )
    yield GaugeMetricFamily(
        "healthplus_day_checks_late", "Days to be compared or read since six hours or more.", late_days
    )


def _is_shared(row: Record, rows: list[Record]) -> bool:
    """Return whether another replica has the same name, or it has none."""
    return not row["name"] or sum(one["name"] == row["name"] for one in rows) > 1


def _of_disk(space: FreeSpace) -> Iterator[Metric]:
    if (room := space.measure()) is not None:
        yield GaugeMetricFamily("healthplus_disk_free_bytes", "Free on the disk of the database.", room.free_bytes)
        floor = GaugeMetricFamily(
            "healthplus_disk_floor_bytes", "What must be free for bookings, and for any change.", labels=("of",)
        )
        floor.add_metric(("bookings",), room.bookings_floor_bytes)
        floor.add_metric(("changes",), room.changes_floor_bytes)
        yield floor


def _of_backup(backup: BackupState) -> Iterator[Metric]:
    """Where back-ups are wanted, what was never made is infinitely old; else there is no sample."""
    if not backup.is_wanted:
        return
    for name, about, seconds in (
        ("healthplus_backup_full_age_seconds", "Age of the newest full back-up.", backup.full_age_seconds),
        ("healthplus_backup_wal_age_seconds", "All older than this is in the back-up.", backup.wal_age_seconds),
        ("healthplus_proven_restore_age_seconds", "Time since restoring was proven.", backup.proven_age_seconds),
    ):
        yield GaugeMetricFamily(name, about, math.inf if seconds is None else seconds)
