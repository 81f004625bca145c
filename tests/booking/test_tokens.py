"""A token that another process has revoked changes nothing, though this one has just seen it live."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from healthplus.accounts.actors import Patient
from healthplus.accounts.patients import add_patient
from healthplus.accounts.sessions import KnownTokens, hash_token
from healthplus.errors import Unauthenticated
from tests.fixtures.lanes import SLOTS, outcomes_of, pause, process
from tests.fixtures.races import Provider, RaceEnvironment, rewrite


async def believe(*_: object) -> None:
    """Look up nothing."""


async def a_session(race: RaceEnvironment) -> tuple[int, bytes]:
    """Return a patient and the hash of their token, which this process has just seen, and another has revoked since."""
    patient, token = await add_patient(race.db, "Asha")
    known = race.book._tokens
    assert await known.patient_of(token) == patient
    await race.db.execute("UPDATE accounts.session SET revoked_at = public.app_now() WHERE patient_id = $1", patient)
    assert await known.patient_of(token) == patient
    return patient, hash_token(token)


def ask(race: RaceEnvironment, verb: str, provider: Provider, patient: int, slot: int) -> Coroutine[Any, Any, object]:
    return race.hold(provider, patient, slot) if "hold" in verb else race.join(provider, patient)


VERBS = ("hold", "hold alone", "hold in a rush", "confirm", "join", "join in a rush")
CHECK = ("accounts.is_signed_in(p_token_hash, p_patient_id)", "true")
GUARDS = {
    "hold": ("booking.hold_plainly", ("NOT seen.is_signed_in", "false")),
    "confirm": ("booking.confirm_plainly", ("NOT seen.is_signed_in", "false")),
    "join": ("booking.plain_joins", (" AND person.is_signed_in", "")),
    "hold in a rush": ("booking.begin_in_rush", CHECK),
    "join in a rush": ("booking.begin_in_rush", CHECK),
}


@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("verb", VERBS)
async def test_a_revoked_token_changes_nothing(
    dsn: str, monkeypatch: pytest.MonkeyPatch, verb: str, guarded: bool
) -> None:
    async with process(dsn) as (race, _):
        provider, (holder, other, third, fourth) = await race.provider(SLOTS), await race.patients(4)
        if "join" in verb:
            provider = await race.provider(1)
            await race.held(provider, holder)
            await race.waiting(provider, other)
        patient, token_hash = await a_session(race)
        held = await race.held(provider, patient) if verb == "confirm" else None
        if not guarded:
            if verb in GUARDS:
                await rewrite(race.db, *GUARDS[verb])
            monkeypatch.setattr(KnownTokens, "require_afresh", believe)
        before = await race.db.fetch_value("SELECT count(*) FROM booking.event")
        asker = Patient(patient)
        starts = provider.opens_at, provider.closes_at
        neighbours: list[asyncio.Task[Any]] = []
        if "rush" in verb:  # one is under way, so that another and this one gather
            await pause(race, "booking.hold_lane" if "hold" in verb else "booking.join_lane")
            neighbours.append(asyncio.create_task(ask(race, verb, provider, holder if "hold" in verb else third, 1)))
            await asyncio.sleep(0.1)
            neighbours.append(asyncio.create_task(ask(race, verb, provider, other if "hold" in verb else fourth, 2)))
        if "join" in verb:
            call = race.book.join_queue(
                provider.provider_id, provider.clinic_id, *starts, 1, patient, asker, token_hash=token_hash
            )
        elif held is not None:
            call = race.book.confirm(provider.provider_id, held, None, asker, token_hash=token_hash)  # type: ignore[assignment]
        else:
            slot = provider.starts[0 if verb != "hold alone" else -1]  # the last is no plain case
            call = race.book.hold(  # type: ignore[assignment]
                provider.provider_id, provider.clinic_id, slot, 1, patient, asker, token_hash=token_hash
            )
        asked = asyncio.ensure_future(call)
        assert set(outcomes_of(await asyncio.gather(*neighbours))) <= {"reserved", "waiting"}

        if guarded:
            with pytest.raises(Unauthenticated):
                await asked
            assert not await race.db.fetch_value(
                "SELECT EXISTS (SELECT FROM booking.event WHERE actor = $1 AND (kind <> 'reserved' OR $2))",
                str(asker),
                held is None,
            )
            assert await race.book._tokens.patient_of_hash(token_hash) is None  # it is forgotten
        else:
            assert (await asked).code in ("reserved", "booked", "waiting")
            assert await race.db.fetch_value("SELECT count(*) FROM booking.event") > before


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_revoked_token_is_told_no_refusal(dsn: str, monkeypatch: pytest.MonkeyPatch, guarded: bool) -> None:
    """A hold that would have to wait is refused without a look at its token, if the rows rule it out."""
    async with process(dsn) as (race, _):
        provider, (holder, other) = await race.provider(SLOTS), await race.patients(2)
        await race.held(provider, holder)
        patient, token_hash = await a_session(race)
        monkeypatch.setattr(KnownTokens, "SECONDS_MAX", 0.0)  # it was seen longer ago
        if not guarded:
            monkeypatch.setattr(KnownTokens, "require", believe)
        await pause(race, "booking.hold_lane")
        under_way = asyncio.create_task(race.hold(provider, other, 1))
        await asyncio.sleep(0.1)
        call = race.book.hold(
            provider.provider_id, provider.clinic_id, provider.starts[0], 1, patient, Patient(patient),
            token_hash=token_hash,
        )  # fmt: skip
        if guarded:
            with pytest.raises(Unauthenticated):
                await call
        else:
            assert (await call).code == "slot_held"
        assert outcomes_of(await asyncio.gather(under_way)) == ["reserved"]
