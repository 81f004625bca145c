"""Most of what patients do is the plain case: the full verbs are for the rest."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

from healthplus.accounts.actors import Patient
from tests.fixtures.races import RaceEnvironment, rewrite

SLOTS = 16
PLAIN_SHARE_MIN = 0.75


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
