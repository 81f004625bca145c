"""Lanes and rushes wait for no lock, hurt nobody but the call that is at fault, and keep the order of asking."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence

import pytest

from healthplus.accounts.actors import Patient
from healthplus.booking import calls
from healthplus.database import Database, PostgresError, Range, Record
from healthplus.errors import DatabaseBusy
from tests.fixtures.lanes import SLOTS, process
from tests.fixtures.races import Provider, deadlocks, rewrite

PROMPT_SECONDS = 2.0
"""Far more than a lane takes on a busy machine; without its guard it would wait for longer."""

TRY_BOOK = ("NOT pg_try_advisory_xact_lock(p_provider_id)", "pg_advisory_xact_lock(p_provider_id) IS NULL")
TRY_PATIENT = ("NOT pg_try_advisory_xact_lock(-p_patient_id)", "pg_advisory_xact_lock(-p_patient_id) IS NULL")
ROWS = (" SKIP LOCKED", "")


async def pause_between(db: Database, *functions: str) -> None:
    """Have a transaction wait after each of its calls, so that another is under way at the same time."""
    for function in functions:
        await rewrite(db, function, ("RETURN NEXT;", "RETURN NEXT; PERFORM pg_sleep(0.3);"))


async def let_wait(db: Database) -> None:
    """Switch off what keeps a transaction from waiting for what its calls do not try first."""
    await rewrite(db, "booking.wait_no_more", ("'1ms'", "'20s'"))


def hold_lane(db: Database, places: Sequence[tuple[Provider, int]]) -> Awaitable[list[Record]]:
    """Hold the first slot of each provider for a patient."""
    providers = [provider.provider_id for provider, _ in places]
    nobody = [None] * len(places)
    return db.fetch(
        calls.calls["hold_lane"],
        providers,
        [provider.clinic_id for provider, _ in places],
        [provider.opens_at for provider, _ in places],
        [1] * len(places),
        nobody,
        [patient for _, patient in places],
        nobody,
        [str(Patient(patient)) for _, patient in places],
        nobody,
        nobody,
    )


def many(db: Database, verb: str, provider: Provider, patients: Sequence[int]) -> Awaitable[list[Record]]:
    """Hold slot after slot of a provider, or join its queue, for one patient after another."""
    nobody = [None] * len(patients)
    whens: list[object] = list(provider.starts[: len(patients)])
    if verb == "join_many":
        whens = [Range(provider.opens_at, provider.closes_at)] * len(patients)
    return db.fetch(
        calls.calls[verb],
        provider.provider_id,
        [provider.clinic_id] * len(patients),
        whens,
        [1] * len(patients),
        nobody,
        patients,
        nobody,
        [str(Patient(patient)) for patient in patients],
        nobody,
        nobody,
        *([len(patients)] if verb == "hold_many" else []),
    )


def codes(rows: Sequence[Record]) -> list[str | None]:
    """Return what became of each call; None: it must go alone, as it does with an SQLSTATE."""
    return [row["failed_with"] or row["code"] for row in rows]


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("crossing", ["providers", "patients"])
async def test_lanes_that_cross(dsn: str, crossing: str, guarded: bool) -> None:
    """Two processes' lanes take the same books, or the same patients, the other way round."""
    async with process(dsn) as (race, _):
        providers, (one, two, three, four) = await race.providers(4, SLOTS), await race.patients(4)
        first = [(providers[0], one), (providers[1], two)]
        second = (
            [(providers[1], three), (providers[0], four)]
            if crossing == "providers"
            else [(providers[2], two), (providers[3], one)]
        )
        await pause_between(race.db, "booking.hold_lane")
        if not guarded:
            await rewrite(race.db, "booking.hold_plainly", TRY_BOOK, TRY_PATIENT)
            await let_wait(race.db)

        answers = await asyncio.gather(hold_lane(race.db, first), hold_lane(race.db, second))

        assert [codes(rows)[0] for rows in answers] == ["reserved", "reserved"]
        if guarded:  # neither waits for the other: what it has is busy
            assert [codes(rows)[1] for rows in answers] == [None, None]
        else:
            assert "40P01" in [codes(rows)[1] for rows in answers]
    assert await deadlocks(dsn) == (0 if guarded else 1)


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("verb", ["hold_many", "join_many"])
async def test_rushes_whose_patients_cross(dsn: str, verb: str, guarded: bool) -> None:
    async with process(dsn) as (race, _):
        here, there = await race.providers(2, 3)
        patients = await race.patients(2)
        if verb == "join_many":
            for provider in (here, there):
                for slot, holder in enumerate(await race.patients(3)):
                    await race.held(provider, holder, slot)
        await pause_between(race.db, f"booking.{verb}")
        if not guarded:
            await rewrite(race.db, "booking.begin_in_rush", ("booking.is_patient_locked(p_patient_id)", "false"))
            await let_wait(race.db)

        answers = await asyncio.gather(
            many(race.db, verb, here, patients), many(race.db, verb, there, list(reversed(patients)))
        )

        done = "reserved" if verb == "hold_many" else "waiting"
        assert [codes(rows)[0] for rows in answers] == [done, done]
        if guarded:
            assert [codes(rows)[1] for rows in answers] == [None, None]
        else:
            assert "40P01" in [codes(rows)[1] for rows in answers]
    assert await deadlocks(dsn) == (0 if guarded else 1)


LOCKS = {
    "another verb": "SELECT pg_advisory_xact_lock($1)",
    "an import": "SELECT FROM booking.book WHERE provider_id = $1 FOR UPDATE",
    "the claim": "SELECT FROM booking.claim WHERE patient_id = $2 FOR UPDATE",
}


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("lock", LOCKS)
async def test_a_lane_does_not_wait_for_what_is_locked(dsn: str, lock: str, guarded: bool) -> None:
    async with process(dsn) as (race, _):
        locked, other = await race.providers(2, SLOTS)
        patient, bystander = await race.patients(2)
        await race.db.execute("UPDATE directory.provider_clinic SET funding = 'online'")
        held = await race.held(locked, patient, 1)  # makes the claim's row
        await race.book.confirm(locked.provider_id, held, "money", Patient(patient))
        if not guarded:
            await rewrite(race.db, "booking.hold_plainly", TRY_BOOK, TRY_PATIENT, ROWS, ROWS)
            await let_wait(race.db)
        place = (locked if lock != "the claim" else other, patient)
        free = (other if lock != "the claim" else locked, bystander)
        async with race.db.transaction() as locker:
            sql = LOCKS[lock]
            args = (locked.provider_id, patient)
            await locker.execute(sql.replace("$2", "$1"), args[1] if "$2" in sql else args[0])
            lane = asyncio.ensure_future(hold_lane(race.db, [place, free]))
            if not guarded:
                await race.until_locked_out(1)
                assert not lane.done()
            else:
                async with asyncio.timeout(PROMPT_SECONDS):
                    assert codes(await lane) == [None, "reserved"]
        with contextlib.suppress(DatabaseBusy):
            await lane


async def test_a_lane_does_not_wait_for_a_row_that_no_call_tries(dsn: str) -> None:
    """As an operator may lock: the call raises at once, and the others of its lane go on."""
    async with process(dsn) as (race, _):
        providers, patients = await race.providers(2, SLOTS), await race.patients(2)
        held = [await race.held(provider, patient) for provider, patient in zip(providers, patients, strict=True)]
        args = (
            [provider.provider_id for provider in providers],
            held,
            patients,
            [None, None],
            [str(Patient(patient)) for patient in patients],
            *[[None, None]] * 4,
        )
        async with race.db.transaction() as locker:
            await locker.execute("SELECT FROM booking.booking WHERE booking_id = $1 FOR UPDATE", held[0])
            async with asyncio.timeout(PROMPT_SECONDS):
                assert codes(await race.db.fetch(calls.calls["confirm_lane"], *args)) == ["55P03", "booked"]


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_call_that_raises_undoes_itself_alone(
    dsn: str, guarded: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with process(dsn) as (race, _):
        providers, patients = await race.providers(3, SLOTS), await race.patients(3)
        await rewrite(
            race.db,
            "booking.put_plain_hold",
            ("RETURN answer;", f"PERFORM 1 / (p_patient_id - {patients[1]}); RETURN answer;"),
        )
        places = list(zip(providers, patients, strict=True))
        if not guarded:
            await rewrite(race.db, "booking.hold_lane", ("WHEN OTHERS THEN", "WHEN unique_violation THEN"))
            with pytest.raises(PostgresError):
                await hold_lane(race.db, places)
            assert await race.events("reserved") == 0
            return
        assert codes(await hold_lane(race.db, places)) == ["reserved", "22012", "reserved"]
        # By the book: it raises for its own caller alone.
        others = await race.patients(2)
        asked = zip(await race.providers(3, SLOTS), [others[0], patients[1], others[1]], strict=True)
        answers = await asyncio.gather(*(race.hold(*one) for one in asked), return_exceptions=True)
        assert [getattr(answer, "code", None) for answer in answers] == ["reserved", None, "reserved"]
        assert isinstance(answers[1], PostgresError)
        assert "SQLSTATE 22012" in caplog.text
        assert await race.events("reserved") == 4
