"""Attacks on a queue: accounts that let their turns go keep nobody else from being served."""

from __future__ import annotations

from pathlib import Path

import pytest

from healthplus.accounts.actors import Patient
from healthplus_bench.fairness import HONEST, FairnessPlan, bench_fairness
from tests.fixtures.races import OFFER_TIME, RaceEnvironment, rewrite

_CALLED = "SELECT ticket_id FROM booking.ticket WHERE state IN ('offered', 'called') ORDER BY number"


@pytest.mark.timeout(300)
async def test_accounts_that_ignore_their_turns_cannot_starve_a_queue(dsn: str, tmp_path: Path) -> None:
    """56 accounts join before five patients, see each offer and let it pass, and join again while they may."""
    result = await bench_fairness(dsn, tmp_path, FairnessPlan((("ignore", 56),)))

    served, starved = result.cases
    assert (served.has_rule, served.served) == (True, HONEST)
    assert served.first_minutes is not None
    assert served.first_minutes < 15
    # The same attack, with the rule switched off, keeps the time from everyone until the hour is over.
    assert (starved.has_rule, starved.served) == (False, 0)
    assert result.violations == 0


@pytest.mark.parametrize("guarded", [False, True])
async def test_booking_and_cancelling_does_not_switch_group_offers_off(race: RaceEnvironment, guarded: bool) -> None:
    """Where nothing is paid online, three accounts of 18 ahead of a patient book and cancel at once."""
    if not guarded:
        await rewrite(race.db, "booking.release_or_cancel", ("p_actor ^@ 'patient:' AND", "false AND"))
    provider = await race.provider(slots=2)
    await race.held(provider, await race.patient(), slot=1)  # so that there is something to wait for until the end
    *bots, patient = waiters = await race.called(provider, 19)
    sizes = []
    for bot, ticket_id in bots[:3]:
        sizes.append(len(await race.db.fetch(_CALLED)))
        verb = race.book.answer if sizes[-1] > 1 else race.book.accept
        taken = await verb(provider.provider_id, ticket_id, Patient(bot))
        assert taken.code == "accepted"
        assert taken.booking_id is not None
        assert (await race.confirm(provider, taken.booking_id, bot)).code == "booked"
        cancelled = await race.book.cancel(provider.provider_id, taken.booking_id, Patient(bot))
        assert cancelled.code == "cancelled"

    called = [row["ticket_id"] for row in await race.db.fetch(_CALLED)]
    if not guarded:
        assert (sizes, called) == ([2, 1, 1], [waiters[3][1]])
        return
    assert sizes == [2, 4, 8]
    assert called == [ticket_id for _, ticket_id in waiters[3:]]
    assert (await race.answer(provider, patient)).code == "answered"
    await race.pass_time(OFFER_TIME)
    await race.book.advance(provider.provider_id)
    holder = "SELECT patient_id FROM booking.booking WHERE state = 'reserved' AND ticket_id IS NOT NULL"
    assert await race.db.fetch_value(holder) == patient[0]
