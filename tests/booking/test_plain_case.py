"""Most of what patients do is the plain case: the full verbs are for the rest."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest

from healthplus.accounts.actors import Patient
from healthplus.database import Database
from tests.fixtures.races import Provider, RaceEnvironment, rewrite

SLOTS = 16
PLAIN_SHARE_MIN = 0.75

OTHERS = 60
ROWS_READ_MAX = 30
ROWS_READ = """SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::integer FROM pg_stat_xact_user_tables
WHERE schemaname IN ('booking', 'accounts')"""


async def test_most_ordinary_holds_and_confirms_are_plain(race: RaceEnvironment) -> None:
    """Two days fill up, one of them paid online. Half of the patients have both, and some holds are given back."""
    await race.db.execute("CREATE SEQUENCE public.full_verb")
    await rewrite(race.db, "booking.open_book", ("\nBEGIN\n", "\nBEGIN\n    PERFORM nextval('public.full_verb');\n"))
    online, at_clinic = await race.providers(2, SLOTS)
    await race.db.execute(
        "UPDATE directory.provider_clinic SET funding = 'online' WHERE provider_id = $1", online.provider_id
    )
    order = random.Random(5)
    regulars = await race.patients(SLOTS // 2)
    codes: Counter[str] = Counter()
    for provider, money in ((online, "money"), (at_clinic, None)):
        patients = regulars + await race.patients(SLOTS // 2)
        slots = order.sample(range(SLOTS), SLOTS)
        for slot, patient in zip(slots, patients, strict=True):
            held = await race.hold(provider, patient, slot)
            codes[held.code] += 1
            await race.pass_time(timedelta(seconds=20))
            if held.booking_id and held.code == "reserved":
                end = (
                    race.release(provider, held.booking_id, patient)
                    if slot % 8 == 3
                    else race.book.confirm(provider.provider_id, held.booking_id, money, Patient(patient))
                )
                codes[(await end).code] += 1
    assert codes.keys() <= {"reserved", "booked", "released", "overlap"}
    full = await race.db.fetch_value("SELECT last_value FROM public.full_verb") - codes["released"]
    share = 1 - full / (codes["reserved"] + codes["overlap"] + codes["booked"])
    assert PLAIN_SHARE_MIN < share < 1  # who takes the last time of a day takes the full verb, for one


async def rows_read(db: Database, race: RaceEnvironment, provider: Provider, slot: int) -> int:
    """Hold and confirm plainly for a new patient, and return how many rows of the book's tables were looked at."""
    patient = await race.patient()
    async with db.transaction() as transaction:
        before: int = await transaction.fetch_value(ROWS_READ)
        held = await transaction.fetch_row(
            "SELECT code, booking_id FROM booking.hold_plainly($1, $2, $3, 1, NULL, $4, NULL, $5, NULL, NULL)",
            provider.provider_id,
            provider.clinic_id,
            provider.starts[slot],
            patient,
            str(Patient(patient)),
        )
        assert held
        confirmed = await transaction.fetch_value(
            "SELECT code FROM booking.confirm_plainly($1, $2, $3, NULL, $4, NULL, NULL)",
            provider.provider_id,
            held["booking_id"],
            patient,
            str(Patient(patient)),
        )
        assert (held["code"], confirmed) == ("reserved", "booked")
        return int(await transaction.fetch_value(ROWS_READ)) - before


@pytest.mark.parametrize("guarded", [False, True])
async def test_what_was_planned_for_an_empty_book_reads_no_more_once_it_has_grown(
    dsn: str, race: RaceEnvironment, guarded: bool
) -> None:
    provider = await race.provider(OTHERS + 4)
    if not guarded:
        await rewrite(race.db, "booking.plain_place", *[(" OFFSET 0)", ")")] * 4)
    await race.db.execute("ANALYZE")  # which says that the book is empty
    async with await Database.connect(dsn, min_size=1, max_size=1) as one:
        # The first slot stays free, as the next free time would be looked for otherwise.
        first = await rows_read(one, race, provider, 1)
        for slot, patient in enumerate(await race.patients(OTHERS), 2):
            await race.booked(provider, patient, slot)
        assert first < ROWS_READ_MAX
        later = await rows_read(one, race, provider, OTHERS + 2)
    assert later < ROWS_READ_MAX if guarded else later > OTHERS
