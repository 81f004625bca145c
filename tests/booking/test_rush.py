"""A rush decides as its calls would one after another, each by the single verb."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking import calls
from healthplus.database import Database, Range, Record
from tests.fixtures.races import Provider, RaceEnvironment, rewrite

SLOTS = 6
CALLS = 10
ANSWERED = ("code", "state", "number", "starts_at", "ends_at", "version")


def said(rows: Sequence[Record]) -> list[list[object]]:
    """Return what two books that were treated alike answer alike.

    Of a refusal only its code: what needs no lock is refused by the rows as they were before the rush, with what was
    free then.
    """
    return [[row[name] for name in ANSWERED] if row["state"] else [row["code"]] for row in rows]


async def prepare(race: RaceEnvironment, order: random.Random, provider: Provider) -> None:
    """Have some slots booked, some held, and somebody wait."""
    for slot in range(SLOTS):
        what = order.choice(("free", "held", "held", "booked"))
        if what != "free":
            booking_id, patient = None, await race.patient()
            booking_id = await race.held(provider, patient, slot)
            if what == "booked":
                await race.confirm(provider, booking_id, patient)
    if order.random() < 0.5:
        await race.join(provider, await race.patient(), order.choice((1, 2)))


async def ask_both(race: RaceEnvironment, seed: int, verb: str) -> tuple[list[list[object]], list[list[object]]]:
    """Treat two books alike, ask the same of both, one in a rush, the other call by call; return what each said."""
    answers: list[list[list[object]]] = []
    for is_rush in (True, False):
        order = random.Random(seed)
        provider = await race.provider(SLOTS, slots_max=3)
        await prepare(race, order, provider)
        patients = await race.patients(CALLS)
        numbers = [order.choice((1, 1, 1, 2)) for _ in patients]
        slots = [order.randrange(SLOTS) for _ in patients]
        whens: list[object] = (
            [provider.starts[slot] for slot in slots]
            if verb == "hold"
            else [Range(provider.starts[slot], provider.closes_at) for slot in slots]
        )
        nobody = [None] * CALLS
        actors = [str(Patient(patient)) for patient in patients]
        if is_rush:
            rows = await race.db.fetch(
                calls.calls[f"{verb}_many"],
                *(provider.provider_id, [provider.clinic_id] * CALLS, whens, numbers, patients, nobody, actors),
                *(nobody, nobody),
                *([CALLS] if verb == "hold" else []),
            )
        else:
            more = (None, None) if verb == "hold" else ()
            sql = calls.calls["hold" if verb == "hold" else "join_queue"]
            rows = [
                row
                for when, count, patient, actor in zip(whens, numbers, patients, actors, strict=True)
                if (
                    row := await race.db.fetch_row(
                        sql,
                        *(provider.provider_id, provider.clinic_id, when, count, patient, None, *more, actor, None),
                        *([None] if verb == "hold" else []),
                    )
                )
            ]
        if is_rush:
            rows.sort(key=lambda row: row["ordinal"])
        answers.append(said(rows))
    return answers[0], answers[1]


@pytest.mark.parametrize("verb", ["hold", "join"])
@pytest.mark.parametrize("seed", range(6))
async def test_a_rush_is_decided_call_by_call(db: Database, verb: str, seed: int) -> None:
    rush, single = await ask_both(await RaceEnvironment.make(db), seed, verb)

    assert rush == single


@pytest.mark.parametrize("verb", ["hold", "join"])
async def test_out_of_order_a_rush_is_decided_otherwise(db: Database, verb: str) -> None:
    race = await RaceEnvironment.make(db)
    calls_of = "p_starts" if verb == "hold" else "p_windows"
    in_order = f"1 .. cardinality({calls_of}) LOOP\n        ordinal"
    reverse = f"REVERSE cardinality({calls_of}) .. 1 LOOP\n        ordinal"
    await rewrite(race.db, f"booking.{verb}_many", (in_order, reverse))

    answers = [await ask_both(race, seed, verb) for seed in range(6)]

    assert any(rush != single for rush, single in answers)
