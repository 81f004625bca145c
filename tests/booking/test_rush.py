"""A rush decides as its calls would one after another, each by the single verb."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking import calls
from healthplus.database import Database, PostgresError, Range, Record
from tests.fixtures.directory import make_service
from tests.fixtures.races import Provider, RaceEnvironment, rewrite

from . import both_ways

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
        service = await make_service(race.db, provider.provider_id, 20, (700, "clinic"), buffer_minutes=5)
        services = [str(service) if order.random() < 0.3 else None for _ in patients]
        slots = [order.randrange(SLOTS) for _ in patients]
        if verb == "join":  # most for the same
            slots = [order.choice((0, 0, 0, slot)) for slot in slots]
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
                *(provider.provider_id, [provider.clinic_id] * CALLS, whens, numbers, services),
                *(patients, nobody, actors),
                *(nobody, nobody),
                *([CALLS] if verb == "hold" else []),
            )
        else:
            more = (None, None) if verb == "hold" else ()
            sql = calls.calls["hold" if verb == "hold" else "join_queue"]
            rows = [
                row
                for when, count, wanted, patient, actor in zip(whens, numbers, services, patients, actors, strict=True)
                if (
                    row := await race.db.fetch_row(
                        sql,
                        *(provider.provider_id, provider.clinic_id, when, count, wanted and [int(wanted)]),
                        *(patient, None, *more, actor, None),
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


OUT_OF_ORDER = {
    "hold": (
        "booking.hold_many",
        "1 .. cardinality(p_starts) LOOP\n        ordinal",
        "REVERSE cardinality(p_starts) .. 1 LOOP\n        ordinal",
    ),
    "join": (
        "booking.put_plain_joins",
        "answer.number := head.last_ticket_number + i",
        "answer.number := head.last_ticket_number + cardinality(p_windows) + 1 - i",
    ),
}


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("verb", OUT_OF_ORDER)
async def test_out_of_order_a_rush_is_decided_otherwise(db: Database, verb: str) -> None:
    race = await RaceEnvironment.make(db)
    function, in_order, reverse = OUT_OF_ORDER[verb]
    await rewrite(race.db, function, (in_order, reverse))

    answers = [await ask_both(race, seed, verb) for seed in range(6)]

    assert any(rush != single for rush, single in answers)


async def rush_of(race: RaceEnvironment, provider: Provider, patients: Sequence[int]) -> list[list[object]]:
    """Have patients join a queue in a rush; return the number of each, or the SQLSTATE."""
    nobody = [None] * len(patients)
    rows = await race.db.fetch(
        calls.calls["join_many"],
        provider.provider_id,
        [provider.clinic_id] * len(patients),
        [Range(provider.opens_at, provider.closes_at)] * len(patients),
        [1] * len(patients),
        nobody,
        list(patients),
        nobody,
        [str(Patient(patient)) for patient in patients],
        [f"key-{patient}" for patient in patients],
        nobody,
    )
    return [[row["failed_with"] or row["code"], row["number"]] for row in rows]


async def a_queue(race: RaceEnvironment, waiting: int = 1) -> Provider:
    provider = await race.provider()
    await race.held(provider, await race.patient())
    for patient in await race.patients(waiting):
        await race.waiting(provider, patient)
    return provider


async def test_plain_joins_of_a_rush_are_written_together(db: Database) -> None:
    """A patient who has spent something goes alone, in turn; the others before and after go together."""
    race = await RaceEnvironment.make(db)
    await both_ways.count_together(db)
    provider, patients = await a_queue(race), await race.patients(9)
    there = await race.provider()
    given_back = await race.held(there, patients[4])
    await race.release(there, given_back, patients[4])

    assert await rush_of(race, provider, patients) == [["waiting", number] for number in range(2, 11)]
    assert await db.fetch_value("SELECT last_value FROM public.together") == 2
    # The same request again is answered the same.
    assert await rush_of(race, provider, patients) == [["waiting", number] for number in range(2, 11)]
    assert await race.tickets_in("waiting") == 10


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("guarded", [False, True])
async def test_who_joins_in_a_rush_gets_what_the_absent_leave_free(db: Database, guarded: bool) -> None:
    race = await RaceEnvironment.make(db)
    provider, (holder, absent, *patients) = await race.provider(), await race.patients(4)
    held = await race.held(provider, holder)
    await race.waiting(provider, absent)
    await race.pass_time(timedelta(minutes=2))
    await race.release(provider, held, holder)
    if not guarded:
        source = await db.fetch_value("SELECT pg_get_functiondef('booking.join_many'::regproc)")
        assert "IF is_full AND " in source
        await db.execute(source.replace("IF is_full AND ", "IF "))

    assert await rush_of(race, provider, patients) == [["offered" if guarded else "waiting", 2], ["waiting", 3]]


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_join_that_raises_undoes_itself_alone(db: Database, guarded: bool) -> None:
    race = await RaceEnvironment.make(db)
    provider, patients = await a_queue(race), await race.patients(3)
    alone = f"PERFORM 1 / (p_patient_id - {patients[1]}); RETURN waiter;"
    await rewrite(db, "booking.add_ticket", ("RETURN waiter;", alone))
    together = f"PERFORM 1 / (one - {patients[1]}) FROM unnest(p_patient_ids) AS one; RETURN answers;"
    await rewrite(db, "booking.put_plain_joins", ("RETURN answers;", together))
    if not guarded:
        await rewrite(db, "booking.join_many", ("WHEN OTHERS THEN", "WHEN unique_violation THEN"))
        with pytest.raises(PostgresError):
            await rush_of(race, provider, patients)
        assert await race.tickets_in("waiting") == 1
        return
    assert await rush_of(race, provider, patients) == [["waiting", 2], ["22012", None], ["waiting", 3]]
    assert await race.tickets_in("waiting") == 3
