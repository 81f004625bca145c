"""Reads what the gateways paid out, day by day, and matches each line with the ledger; what does not agree is a case.

As the daily comparison (day_checks.py), any process may do it, one day of one account at a time, and a day is read on
three days. What an account's owner downloads as a file goes the same way, by `SettlementBook`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import msgspec

from healthplus.database import Database, Record, repeat
from healthplus.errors import NotFound, PaymentUnavailable
from healthplus.payments.accounts import SANDBOX, Gateways, queries
from healthplus.payments.day_checks import AGAIN_AFTER, DAYS, IDLE_SECONDS, LOOK_AGAIN_AFTER, PAUSE_SECONDS, RUNS
from healthplus.payments.differences import NOTHING, Difference
from healthplus.payments.reconciliation import ids_of
from healthplus.payments.settled import Settlement, SettlementLine, SettlementPage
from healthplus.payments.settlement_differences import Settled, line_differences, sum_difference

logger = logging.getLogger(__name__)

_AMOUNT_MAX = 2**31 - 1
"""More than this is in doubt only where much of a settlement is unknown; the case says both sums anyway."""
_UNSETTLED = timedelta(days=14)
"""So long before a settlement is looked whether something is in none; payments.unsettled leaves out the last week."""


class SettlementBook:
    """The settlements of all accounts, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, account: str, page: SettlementPage) -> list[Record]:
        """Store a page, each line once, and note which of its lines do not agree with the ledger.

        Return the lines that were there before: `settlement`, `name` and whether each `is_same`.
        """
        settlements = msgspec.to_builtins(page.settlements)
        await self._database.execute(queries.store_settlements, account, settlements)
        lines = msgspec.to_builtins([_row(line) for line in page.lines])
        known = await self._database.fetch(queries.store_lines, account, lines)
        if other := [row["name"] for row in known if not row["is_same"]]:
            logger.error("account %s has said something else before of the lines %s", account, other)
        await self.compare(account, page.lines)
        return known

    async def other_accounts(self, account: str, lines: Iterable[SettlementLine]) -> list[str]:
        """Return the other accounts whose payments are among these, as far as the gateway says what they were for."""
        own = {(*hold, line.payment) for line in lines for hold in _holds(line)}
        columns = list(map(list, zip(*own, strict=True))) or [[], [], []]
        rows = await self._database.fetch(queries.other_accounts, account, *columns)
        return [row["account"] for row in rows]

    async def compare(self, account: str, lines: Sequence[SettlementLine]) -> None:
        """Note which of the payments and refunds of these lines do not agree, and close the cases of all others."""
        payments = list({line.payment for line in lines})
        names = {name for line in lines for name in (line.name, line.refund or line.payment or line.name)}
        await self._database.execute(queries.find_settled, account, payments)
        rows = await self._database.fetch(queries.settled, account, payments, list(names))
        found: dict[str, tuple[Settled, Difference]] = {}
        for line in (Settled(**row) for row in rows):
            names |= {line.name, line.about}
            for one in line_differences(line):
                name = line.name if one.kind in ("settled_fee", "settled_other") else line.about
                found[f"{one.kind} {name}"] = line, one
        for key, (line, one) in found.items():
            place = (line.provider_id, line.hold_id, line.booking_id, line.clinic_id)
            await self._note(account, key.partition(" ")[2], one, place)
        await self._database.execute(queries.close_agreed, account, list(names), list(found), True)

    async def finish(self, account: str, settlements: Iterable[str], since: datetime, until: datetime) -> None:
        """Add up settlements that are stored as a whole; note what was taken from `since` to `until` and is in none."""
        names = list(dict.fromkeys(settlements))
        wrong = []
        for row in await self._database.fetch(queries.add_up_settlements, account, names):
            one = sum_difference(row["currency"], row["amount_minor"], row["comes_to_minor"])
            if one is not None and row["lines"]:  # else they come in another file
                wrong.append(f"{one.kind} {row['name']}")
                await self._note(account, row["name"], one, (None, None, None, None))
        await self._database.execute(queries.close_agreed, account, names, wrong, True)
        missing = await self._database.fetch(queries.unsettled, account, since, until)
        for row in missing:
            said = (f"{row['currency']} {row['amount_minor']}", NOTHING)
            one = Difference("settled_missing", abs(row["amount_minor"]), row["currency"], *said)
            place = (row["provider_id"], row["hold_id"], row["booking_id"], row["clinic_id"])
            await self._note(account, row["name"], one, place)
        if wrong or missing:
            logger.error("account %s: settlements %s do not add up, %s are in none", account, wrong, len(missing))

    async def _note(self, account: str, name: str, one: Difference, place: tuple[Any, ...]) -> None:
        money = (min(one.amount_minor, _AMOUNT_MAX), one.currency, one.ours, one.theirs)
        await self._database.execute(queries.note_case, account, one.kind, name, *place, *money)


class Settlements:
    """Reads the settlements of all accounts by their gateways' APIs, in the background."""

    def __init__(self, database: Database, gateways: Gateways) -> None:
        self._database = database
        self._gateways = gateways
        self._book = SettlementBook(database)

    async def run(self) -> None:
        """Read what is due until cancelled."""
        trouble = "settlements could not be read from a gateway"
        await repeat(self.poll, IDLE_SECONDS, trouble, self._database, name="settlements")

    async def poll(self) -> float | None:
        """Read one day that is due, or look at one case; return 0 where there may be more to do at once."""
        accounts = [account for account in self._gateways.accounts if account != SANDBOX]
        case = await self._database.fetch_row(queries.take_settled_case, accounts, LOOK_AGAIN_AFTER)
        if case is not None:
            await self._look_at(case["account"], case["name"])
            return 0
        await self._database.execute(queries.plan_settlement_days, accounts, DAYS)
        due = await self._database.fetch_row(queries.take_settlement_day, accounts, AGAIN_AFTER)
        if due is None:
            return None
        try:
            await self.read(due["account"], due["day"])
        except PaymentUnavailable:
            logger.warning("the settlements of %s with account %s could not be read", due["day"], due["account"])
            await self._database.execute(queries.fail_settlement_day, due["account"], due["day"])
        else:
            await self._database.execute(queries.finish_settlement_day, due["account"], due["day"], RUNS)
        return 0

    async def read(self, account: str, day: date) -> None:
        """Read the settlements of a day of an account. Raises PaymentUnavailable where the gateway cannot be asked."""
        names: list[str] = []
        async for page in self._gateways.of(account).settlements_of(day):
            await self._book.store(account, page)
            names += [line.settlement for line in page.lines] + [one.name for one in page.settlements]
            await self._database.execute(queries.go_on_with_settlement_day, account, day, AGAIN_AFTER)
            await asyncio.sleep(PAUSE_SECONDS)
        until = datetime.combine(day, time(), UTC) + timedelta(days=2)
        await self._book.finish(account, names, until - _UNSETTLED, until)

    async def _look_at(self, account: str, name: str) -> None:
        """Read again the settlements that a case is about; it stays where it still is so."""
        rows = await self._database.fetch(queries.settlements_about, account, name)
        for day in sorted({day for row in rows for day in days_of(row["settled_at"])}):
            await self.read(account, day)
        await self._database.execute(queries.looked_at_settled, account, name)


def days_of(settled_at: datetime) -> tuple[date, date]:
    """Return the days of UTC and of India on which a settlement was made: gateways list it on one of them."""
    return settled_at.astimezone(UTC).date(), (settled_at + timedelta(hours=5, minutes=30)).astimezone(UTC).date()


def period_of(settlements: Sequence[Settlement]) -> tuple[datetime, datetime]:
    """Return from when until when something may be in none, if it is not in these settlements, which are some."""
    instants = [one.settled_at for one in settlements]
    return min(instants) - _UNSETTLED, max(instants) + timedelta(days=1)


def _row(line: SettlementLine) -> dict[str, Any]:
    """Return a line as the database takes it: with the holds that its keys name."""
    holds = [{"provider_id": provider_id, "hold_id": hold_id} for provider_id, hold_id in _holds(line)]
    return msgspec.structs.asdict(line) | {"holds": holds}


def _holds(line: SettlementLine) -> list[tuple[int, UUID]]:
    """Return the providers and holds that a line's keys name; what is no key of ours names none."""
    holds = []
    for key in line.keys:
        with contextlib.suppress(NotFound):
            holds.append(ids_of(key))
    return holds
