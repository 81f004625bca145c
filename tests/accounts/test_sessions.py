from __future__ import annotations

import asyncio

import pytest

from healthplus.accounts.patients import add_patient
from healthplus.accounts.sessions import (
    KnownTokens,
    agent_label,
    hash_token,
    patient_of_hash,
    patient_of_token,
    queries,
)
from healthplus.database import Database
from healthplus.errors import Unauthenticated
from tests.fixtures.clock import move_clock


async def test_tokens_are_remembered_for_a_moment_only(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    patient_id, token = await add_patient(db, "Asha")
    known = KnownTokens(db)
    assert await known.patient_of("new") is None
    assert await known.patient_of(token) == patient_id
    await db.execute("UPDATE accounts.session SET revoked_at = app_now()")
    assert await known.patient_of(token) == patient_id
    monkeypatch.setattr(KnownTokens, "SECONDS_MAX", 0.0)
    fresh = KnownTokens(db)
    assert await fresh.patient_of(token) is None


async def test_whose_a_token_is_is_remembered_longer(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes ask for that, whose statements look at the token themselves."""
    patient_id, token = await add_patient(db, "Asha")
    known = KnownTokens(db)
    assert await known.owner_of("new") is None
    assert await known.owner_of("x" * 1000) is None
    assert await known.owner_of(token) == (patient_id, hash_token(token))
    await db.execute("UPDATE accounts.session SET revoked_at = app_now()")
    monkeypatch.setattr(KnownTokens, "SECONDS_MAX", 0.0)
    assert await known.owner_of(token) == (patient_id, hash_token(token))
    with pytest.raises(Unauthenticated):
        await known.require(hash_token(token), patient_id)
    assert await known.owner_of(token) is None  # it has just been seen to be revoked
    await db.execute("UPDATE accounts.session SET revoked_at = NULL")
    assert await known.owner_of(token) is not None
    await db.execute("UPDATE accounts.session SET revoked_at = app_now()")
    monkeypatch.setattr(KnownTokens, "OWNER_SECONDS_MAX", 0.0)
    assert await known.owner_of(token) is None


async def test_remembering_is_bounded(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KnownTokens, "TOKENS_MAX", 2)
    known = KnownTokens(db)
    patients = [await add_patient(db, "Asha") for _ in range(4)]
    for patient_id, token in patients * 2:
        assert await known.patient_of(token) == patient_id
        assert len(known._known) <= 2


async def test_a_token_that_was_revoked_here_is_forgotten_at_once(db: Database) -> None:
    patient_id, token = await add_patient(db, "Asha")
    _, other = await add_patient(db, "Bina")
    known = KnownTokens(db)
    assert await known.patient_of(token) == patient_id
    await known.patient_of(other)
    await db.execute(queries.end_sessions, patient_id)
    known.forget(patient_id)
    assert await known.patient_of(token) is None
    assert len(known._known) == 1


async def test_what_was_read_before_the_revocation_is_not_remembered(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient_id, token = await add_patient(db, "Asha")
    known = KnownTokens(db)
    read, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(database: Database, token_hash: bytes) -> int | None:
        found = await patient_of_hash(database, token_hash)
        read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr("healthplus.accounts.sessions.patient_of_hash", slowly)
    asking = asyncio.create_task(known.patient_of(token))
    await read.wait()
    await db.execute(queries.end_sessions, patient_id)
    known.forget(patient_id)
    go_on.set()
    assert await asking == patient_id
    assert await known.patient_of(token) is None


@pytest.mark.dates
async def test_a_session_ends_by_itself(db: Database) -> None:
    _, token = await add_patient(db, "Asha")
    await db.execute("UPDATE accounts.session SET expires_at = app_now() + interval '90 days'")
    await move_clock(db, days=89.9)
    assert await patient_of_token(db, token) is not None
    await move_clock(db, days=0.2)
    assert await patient_of_token(db, token) is None


@pytest.mark.dates
async def test_use_is_noted_once_a_day(db: Database) -> None:
    _, token = await add_patient(db, "Asha")
    version = "SELECT xmin::text || ' ' || used_on FROM accounts.session"
    made = await db.fetch_value(version)
    await patient_of_token(db, token)
    assert await db.fetch_value(version) == made
    await move_clock(db, days=1)
    await patient_of_token(db, token)
    noted = await db.fetch_value(version)
    assert noted != made
    await patient_of_token(db, token)
    assert await db.fetch_value(version) == noted
    assert hash_token(token) not in noted.encode()


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        ("Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox on Android"),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge on Windows",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1",
            "Safari on iPhone",
        ),
        ("python-httpx/0.28", ""),
        ("Asha's own +919876543210", ""),
        ("", ""),
    ],
)
def test_devices_are_told_apart_by_no_more_than_needed(user_agent: str, label: str) -> None:
    assert agent_label(user_agent) == label
