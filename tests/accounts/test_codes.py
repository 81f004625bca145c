from __future__ import annotations

import logging
from uuid import UUID

import pytest

from healthplus.accounts.codes import Codes, Requester, _duration
from healthplus.accounts.consent import CURRENT
from healthplus.accounts.patients import add_patient
from healthplus.accounts.sessions import patient_of_token
from healthplus.database import Database
from healthplus.errors import (
    BadInput,
    CodeOver,
    ConsentOutdated,
    KeyReused,
    NotFound,
    PhoneRefused,
    TooManyCodes,
    WrongCode,
)
from healthplus.retention.retention import Retention, queries
from healthplus.settings import Settings
from tests.fixtures.clock import move_clock
from tests.fixtures.codes import ADDRESS, PHONE, SECRET, ask, guess, make_codes, number


@pytest.fixture
def codes(db: Database) -> Codes:
    return make_codes(db)


async def test_the_right_code_lets_in_and_makes_a_patient(codes: Codes, db: Database) -> None:
    sent = await ask(codes, "a", "098765 43210")
    assert (sent.phone, sent.expires_in, sent.resend_in) == (PHONE, 300, 30)
    assert sent.code is not None
    assert sent.code not in repr(sent)
    assert await db.fetch_value("SELECT count(*) FROM accounts.patient") == 0
    patient_id, token, device = await codes.verify(
        sent.challenge_id, f" {sent.code[:3]} {sent.code[3:]}", "b", "Firefox on Mac"
    )
    assert len({token, device}) == 2
    assert await patient_of_token(db, token) == patient_id
    patient = await db.fetch_row("SELECT name, phone FROM accounts.patient")
    session = await db.fetch_row("SELECT agent, expires_at - created_at = interval '90 days' FROM accounts.session")
    consent = await db.fetch_row("SELECT purpose, version, withdrawn_at FROM accounts.consent")
    assert [tuple(row) for row in (patient, session, consent) if row] == [
        ("", PHONE),
        ("Firefox on Mac", True),
        (CURRENT.purpose, CURRENT.version, None),
    ]


async def test_who_the_clinic_entered_is_the_same_patient(codes: Codes, db: Database) -> None:
    entered, _ = await add_patient(db, "Asha", "098765 43210", "IN")
    sent = await ask(codes, "a")
    assert (await codes.verify(sent.challenge_id, sent.code or "", "b", ""))[0] == entered
    assert await db.fetch_value("SELECT name FROM accounts.patient") == "Asha"


async def test_a_code_works_once(codes: Codes) -> None:
    sent = await ask(codes, "a")
    assert sent.code is not None
    await codes.verify(sent.challenge_id, sent.code, "b", "")
    with pytest.raises(CodeOver):
        await codes.verify(sent.challenge_id, sent.code, "c", "")


async def test_a_repeat_is_answered_as_before(codes: Codes, db: Database) -> None:
    sent = await ask(codes, "a")
    again = await ask(codes, "a")
    assert (again.challenge_id, again.code) == (sent.challenge_id, None)
    with pytest.raises(KeyReused):
        await ask(codes, "a", number(1))
    assert sent.code is not None
    first, *others = [await codes.verify(sent.challenge_id, sent.code, "b", "") for _ in range(3)]
    assert others == [first, first]
    assert await db.fetch_value("SELECT count(*) FROM accounts.session") == 1
    assert not await guess(codes, sent, 1, sent.code)
    with pytest.raises(KeyReused):
        await codes.verify(sent.challenge_id, f"{(int(sent.code) + 1) % 10**6:06}", "b", "")
    await move_clock(db, hours=25)
    with pytest.raises(CodeOver):
        await codes.verify(sent.challenge_id, sent.code, "b", "")


async def test_a_repeat_does_not_sign_in_again_who_has_signed_out(codes: Codes, db: Database) -> None:
    sent = await ask(codes, "a")
    assert sent.code is not None
    await codes.verify(sent.challenge_id, sent.code, "b", "")
    await db.execute("UPDATE accounts.session SET revoked_at = app_now()")
    with pytest.raises(CodeOver):
        await codes.verify(sent.challenge_id, sent.code, "b", "")


async def test_one_persons_key_is_nobody_elses(codes: Codes) -> None:
    sent = await ask(codes, "a")
    assert (await ask(codes, "a", number(1), "192.0.2.8")).challenge_id != sent.challenge_id


async def test_five_tries(codes: Codes, db: Database) -> None:
    sent = await ask(codes, "a")
    assert sent.code is not None
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(WrongCode) as caught:
            await codes.verify(sent.challenge_id, f"{(int(sent.code) + 7) % 10**6:06}", "b", "")
        assert caught.value.members == {"tries_left": left}
        assert sent.code not in str(caught.value)
    with pytest.raises(CodeOver, match="Too many wrong"):
        await codes.verify(sent.challenge_id, sent.code, "b", "")
    assert await db.fetch_value("SELECT count(*) FROM accounts.patient") == 0


async def test_what_is_no_code_is_no_try(codes: Codes, db: Database) -> None:
    sent = await ask(codes, "a")
    for text in ("", "12345", "1234567", "12345a", "१२३४५", "\x00" * 6, "1" * 10_000):
        with pytest.raises(BadInput):
            await codes.verify(sent.challenge_id, text, "b", "")
    assert await db.fetch_value("SELECT tries FROM accounts.challenge") == 0


@pytest.mark.dates
async def test_five_minutes(codes: Codes, db: Database) -> None:
    sent = await ask(codes, "a")
    assert sent.code is not None
    await move_clock(db, seconds=299)
    assert (await ask(codes, "a")).expires_in == 1
    await move_clock(db, seconds=1)
    with pytest.raises(CodeOver):
        await codes.verify(sent.challenge_id, sent.code, "b", "")
    assert (await ask(codes, "a")).expires_in == 0


async def test_a_new_code_does_not_end_the_one_before(codes: Codes, db: Database) -> None:
    """Somebody else may have asked for it, from the same address even: many patients share one."""
    first = await ask(codes, "a")
    await move_clock(db, seconds=30)
    assert (await ask(codes, "b")).challenge_id != first.challenge_id
    await codes.verify(first.challenge_id, first.code or "", "d", "")


async def test_nobody_is_asked_without_the_present_consent(codes: Codes, db: Database) -> None:
    for version in ("", "2020-01-01", "\x00"):
        with pytest.raises(ConsentOutdated):
            await codes.request(PHONE, version, Requester(ADDRESS, ADDRESS), "a")
    with pytest.raises(PhoneRefused):
        await codes.request("020 2612 3456", CURRENT.version, Requester(ADDRESS, ADDRESS), "a")
    assert await db.fetch_value("SELECT count(*) FROM accounts.challenge") == 0


async def test_another_secret_key_opens_nothing(codes: Codes, db: Database) -> None:
    sent = await ask(codes, "a")
    other = Codes(db, type(SECRET)("another key that is as long as it must be"), Settings(None, None))  # type: ignore[arg-type]
    with pytest.raises(WrongCode):
        await other.verify(sent.challenge_id, sent.code or "", "b", "")


async def test_no_secret_is_stored_or_logged(codes: Codes, db: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        sent = await ask(codes, "a key of mine")
        assert sent.code is not None
        _, token, device = await codes.verify(sent.challenge_id, sent.code, "b", "")
        await ask(codes, "c", number(1))
    kept = str(
        [
            dict(row)
            for table in ("challenge", "session", "device")
            for row in await db.fetch(f"SELECT * FROM accounts.{table}")
        ]
    )
    for secret in (sent.code, token, device, "a key of mine", PHONE, ADDRESS):
        assert secret not in kept + caplog.text
    assert number(1) in kept  # until it is over
    await move_clock(db, seconds=301)
    await db.execute(queries.forget_numbers)
    assert number(1) not in str([dict(row) for row in await db.fetch("SELECT * FROM accounts.challenge")])


@pytest.mark.dates
async def test_what_is_over_is_forgotten_but_not_how_often_one_guessed(codes: Codes, db: Database) -> None:
    unguessed, guessed = await ask(codes, "a", number(1)), await ask(codes, "b", number(2))
    await guess(codes, guessed, 1, guessed.code or "")
    for days, left in ((0.9, {unguessed.challenge_id, guessed.challenge_id}), (28, {guessed.challenge_id}), (2, set())):
        await move_clock(db, days=days)
        await Retention(db).forget()
        assert {row[0] for row in await db.fetch("SELECT challenge_id FROM accounts.challenge")} == left


async def test_unknown_challenges(codes: Codes) -> None:
    with pytest.raises(NotFound):
        await codes.verify(UUID(int=7), "123456", "b", "")


async def test_a_refusal_leaves_nothing_behind(codes: Codes, db: Database) -> None:
    await ask(codes, "a")
    before = await db.fetch("SELECT * FROM accounts.challenge")
    with pytest.raises(TooManyCodes) as caught:
        await ask(codes, "b")
    assert caught.value.members == {"reason": "number", "retry_after": 30}
    assert PHONE not in str(caught.value)
    assert await db.fetch("SELECT * FROM accounts.challenge") == before
    await move_clock(db, seconds=30)
    await ask(codes, "b")


def test_durations_are_rounded_up() -> None:
    assert [_duration(n) for n in (1, 60, 61, 3600, 3601, 86_400, 86_401)] == [
        "1 second",
        "60 seconds",
        "2 minutes",
        "60 minutes",
        "2 hours",
        "24 hours",
        "2 days",
    ]
