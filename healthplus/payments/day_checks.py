"""Compares each day's payments with the list of each account's gateway; what does not agree is a case for people.

Any process may do it, one day of one account at a time; a row for each says when it is due, so that it goes on after a
death. A day is compared on three days, as facts come late. What differs is looked at first as any payment in doubt is,
which puts most of it right: only what differs then still is a case.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from healthplus.database import Database, repeat
from healthplus.errors import NotFound, PaymentUnavailable
from healthplus.payments.accounts import Gateways, joined, queries
from healthplus.payments.differences import Ours, differences
from healthplus.payments.gateway import ListedPayment
from healthplus.payments.reconciliation import Reconciliation, ids_of

logger = logging.getLogger(__name__)

DAYS = 7
"""So many days are compared after a time when no process ran."""
RUNS = 3
AGAIN_AFTER = timedelta(minutes=10)
"""When a comparison is begun again whose process has died; it says more often that it goes on."""
LOOK_AGAIN_AFTER = timedelta(minutes=1)
IDLE_SECONDS = 20.0
PAUSE_SECONDS = 0.1
"""Between two requests, so that a gateway answers the others as ever."""
FINDS_MAX = 1000
"""So many payments that a gateway's list lacks are asked for one by one; of a day with more, the list is wrong."""


class DayChecks:
    """The daily comparison, in the background."""

    def __init__(self, database: Database, gateways: Gateways, reconciliation: Reconciliation) -> None:
        self._database = database
        self._gateways = gateways
        self._reconciliation = reconciliation

    async def run(self) -> None:
        """Compare what is due until cancelled."""
        trouble = "payments could not be compared with the gateway's list"
        await repeat(self.poll, IDLE_SECONDS, trouble, self._database, name="day checks")

    async def poll(self) -> float | None:
        """Compare one day that is due, or look at one case; return 0 where there may be more to do at once."""
        accounts = self._gateways.accounts
        case = await self._database.fetch_row(queries.take_case, accounts, LOOK_AGAIN_AFTER)
        if case is not None:
            await self._look_at(case["account"], case["name"], case["provider_id"], case["hold_id"])
            return 0
        await self._database.execute(queries.plan_day_checks, accounts, DAYS)
        due = await self._database.fetch_row(queries.take_day_check, accounts, AGAIN_AFTER)
        if due is None:
            return None
        try:
            await self.compare(due["account"], due["day"])
        except PaymentUnavailable:
            logger.warning("the payments of %s with account %s could not be listed", due["day"], due["account"])
            await self._database.execute(queries.fail_day_check, due["account"], due["day"])
        return 0

    async def compare(self, account: str, day: date) -> None:
        """Compare a day of an account. Raises PaymentUnavailable where the gateway cannot be asked."""
        since = datetime.combine(day, time(), UTC)
        rows = await self._database.fetch(queries.recorded_on, account, since, since + timedelta(days=1))
        missing = {ours.name: ours for ours in (Ours(**row) for row in rows)}
        listed = different = 0
        async for page in self._gateways.of(account).payments_of(day):
            known = await self._ours(account, page)
            for theirs in page:
                if own := missing.pop(theirs.name, None):
                    known.setdefault(theirs.name, own)
            different += await self._settle(account, [(known.get(one.name), one) for one in page])
            listed += len(page)
            await self._go_on(account, day)
        if len(missing) > FINDS_MAX:
            logger.error("account %s lists %s payments of %s, and %s are missing", account, listed, day, len(missing))
            raise PaymentUnavailable
        for number, ours in enumerate(missing.values()):
            found = await self._gateways.of(account).find(ours.name)
            different += await self._settle(account, [(ours, found)])
            if number % 20 == 0:
                await self._go_on(account, day)
        await self._database.execute(queries.finish_day_check, account, day, listed, different, RUNS)
        if different:
            logger.error("%s payments of %s with account %s do not agree with its list", different, day, account)

    async def _go_on(self, account: str, day: date) -> None:
        await self._database.execute(queries.go_on_with_day_check, account, day, AGAIN_AFTER)
        await asyncio.sleep(PAUSE_SECONDS)

    async def _look_at(self, account: str, name: str, provider_id: int | None, hold_id: UUID | None) -> None:
        """See how a case stands now."""
        theirs = await self._gateways.of(account).find(name)
        ours = await self._one_of_ours(account, name, provider_id, hold_id)
        await self._settle(account, [(ours, theirs)], name)

    async def _ours(self, account: str, page: Sequence[ListedPayment]) -> dict[str, Ours]:
        """Return what the ledger has of payments in a list, by their names there."""
        asked = [(*ids, joined(account, one.name)) for one in page if (ids := _ids(one))]
        if not asked:
            return {}
        rows = await self._database.fetch(queries.recorded_as, *map(list, zip(*asked, strict=True)))
        return {ours.name: ours for ours in (Ours(**row) for row in rows)}

    async def _one_of_ours(self, account: str, name: str, provider_id: int | None, hold_id: UUID | None) -> Ours | None:
        if provider_id is None or hold_id is None:
            return None
        rows = await self._database.fetch(queries.recorded_as, [provider_id], [hold_id], [joined(account, name)])
        return Ours(*rows[0]) if rows else None

    async def _settle(
        self, account: str, pairs: Sequence[tuple[Ours | None, ListedPayment | None]], name: str = ""
    ) -> int:
        """Note what does not agree, after a look at the gateway, and close the cases of what does.

        Return how many payments do not agree. `name`: of the payment, where neither may know it any more.
        """
        different = 0
        lasting: list[str] = []
        for ours, theirs in pairs:
            if differences(ours, theirs):
                kinds = await self._look(account, ours, theirs)
                different += bool(kinds)
                lasting += kinds
        names = [one.name for pair in pairs for one in pair if one] or [name]
        await self._database.execute(queries.close_agreed, account, names, lasting, False)
        return different

    async def _look(self, account: str, ours: Ours | None, theirs: ListedPayment | None) -> list[str]:
        """Have a payment looked at as others in doubt are, and note what differs still; return of what kinds that is.

        Each kind comes with the payment's name.
        """
        known = ours or theirs
        assert known is not None
        ids = (ours.provider_id, ours.hold_id) if ours else _ids(theirs) if theirs else None
        if ids is not None:
            await self._reconciliation.look_again(*ids, account)
            ours = await self._one_of_ours(account, known.name, *ids)
            theirs = await self._gateways.of(account).find(known.name)
            await asyncio.sleep(PAUSE_SECONDS)
        found = differences(ours, theirs)
        if not found:
            return []
        place = (ours.provider_id, ours.hold_id, ours.booking_id, ours.clinic_id) if ours else await self._place(ids)
        for one in found:
            money = (one.amount_minor, one.currency, one.ours, one.theirs)
            await self._database.execute(queries.note_case, account, one.kind, known.name, *place, *money)
        return [f"{one.kind} {known.name}" for one in found]

    async def _place(self, ids: tuple[int, UUID] | None) -> tuple[int | None, UUID | None, UUID | None, int | None]:
        """Return provider, hold, booking and clinic of a hold that only the gateway names."""
        row = await self._database.fetch_row(queries.hold_in_doubt, *ids) if ids else None
        if ids is None or row is None:
            return None, None, None, None
        return (*ids, ids[1], row["clinic_id"])


def _ids(theirs: ListedPayment) -> tuple[int, UUID] | None:
    """Return the provider and the hold that a gateway names for a payment; None for what was not paid by us."""
    try:
        return ids_of(theirs.key)
    except NotFound:
        return None
