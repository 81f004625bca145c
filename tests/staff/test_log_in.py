"""Logging in by password and code: who gets in, what is said to those who do not, and how guesses are slowed."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from healthplus.accounts.codes import Requester
from healthplus.accounts.secret import Secret
from healthplus.database import Database
from healthplus.errors import LogInRefused, TooManyGuesses
from healthplus.staff import passwords
from healthplus.staff.log_in import Challenge, From, LoggedIn, LogIn, SecondFactorNeeded
from healthplus.staff.passkeys import Site
from healthplus.staff.passwords import Passwords
from healthplus.staff.sessions import StaffSessions
from tests.fixtures.clock import move_clock, product_now
from tests.fixtures.codes import SECRET
from tests.fixtures.staff import (
    APP_SECRET,
    PASSWORD,
    SHORT_PASSWORD,
    audit,
    code_of,
    come_from,
    make_log_in,
    make_staff,
    session_of,
)

WRONG = "monsoon kettle zebra"


async def logged_in(log_in: LogIn, log_on: str = "meera", **where: str | None) -> LoggedIn:
    done = await log_in.with_password(log_on, PASSWORD, come_from(**where))  # type: ignore[arg-type]
    assert isinstance(done, LoggedIn)
    return done


async def half_of(log_in: LogIn) -> SecondFactorNeeded:
    half = await log_in.with_password("meera", SHORT_PASSWORD, come_from())
    assert isinstance(half, SecondFactorNeeded)
    return half


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how long guesses are held, which they are not in fact."""
    waits: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", note)
    return waits


async def test_a_password_begins_a_session(db: Database) -> None:
    staff_id = await make_staff(db)
    done = await logged_in(make_log_in(db), " Meera ")
    session = await session_of(db, done.token)
    assert (session.staff_id, session.name, session.roles) == (staff_id, "Meera Rao", {1: "desk"})
    assert (session.is_locked, session.is_proven, str(session.actor)) == (False, True, f"staff:{staff_id}")
    assert (await audit(db))[-1] == (f"staff:{staff_id}", "log_in", False, "password")
    assert not await db.fetch(
        "SELECT FROM staff.session WHERE position($1 IN encode(token_hash, 'escape')) > 0", done.token
    )


async def test_wrong_and_unknown_are_told_alike(db: Database) -> None:
    staff_id = await make_staff(db)
    log_in = make_log_in(db)
    said = []
    for log_on, password in (
        ("meera", WRONG),
        ("nobody", PASSWORD),
        ("x" * 500, PASSWORD),
        ("mee\0", "\0"),
        ("meera", ""),
    ):
        with pytest.raises(LogInRefused) as refused:
            await log_in.with_password(log_on, password, come_from())
        said.append((refused.value.detail, refused.value.members))
    assert said == [said[0]] * 5
    assert (await audit(db))[-5:] == [("", "log_in", True, "password")] * 5
    about = await db.fetch("SELECT staff_id, address FROM staff.audit_entry WHERE is_refused ORDER BY entry_id")
    assert [tuple(row) for row in about] == [(one, "192.0.2.7") for one in (staff_id, None, None, None, staff_id)]


async def test_they_take_equally_long(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=2, memory_cost=8 * 1024, parallelism=1))
    await make_staff(db)
    log_in = make_log_in(db)
    took: dict[str, list[float]] = {"meera": [], "nobody": []}
    # In turn, so that what else the machine does falls on both; and held for guessing, neither.
    for n in range(40):
        await db.execute("DELETE FROM staff.guess")
        log_on = ("meera", "nobody")[n % 2]
        began = time.perf_counter()
        with pytest.raises(LogInRefused):
            await log_in.with_password(log_on, WRONG, come_from())
        took[log_on].append(time.perf_counter() - began)
    known, unknown = (statistics.median(took[log_on]) for log_on in ("meera", "nobody"))
    spread = statistics.quantiles(took["meera"], n=4)
    print(f"known {known * 1000:.1f} ms, unknown {unknown * 1000:.1f} ms, quartiles {spread}")
    assert abs(known - unknown) < max(0.25 * known, spread[2] - spread[0])


async def test_without_a_hash_for_nobody_they_would_not(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def note(kept: str, _: str) -> bool:
        checked.append(kept)
        return False

    monkeypatch.setattr(passwords, "_fits", note)
    await make_staff(db)
    log_in = make_log_in(db)
    for log_on in ("meera", "nobody"):
        with pytest.raises(LogInRefused):
            await log_in.with_password(log_on, WRONG, come_from())
    assert len(checked) == 2
    costs = {kept.split("$")[3] for kept in checked}
    assert len(costs) == 1


async def test_a_code_is_asked_for_where_there_is_an_app(db: Database) -> None:
    staff_id = await make_staff(db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    log_in = make_log_in(db)
    half = await half_of(log_in)
    assert (half.staff_id, half.has_app, half.has_passkey) == (staff_id, True, False)
    assert not await db.fetch_value("SELECT count(*) FROM staff.session")
    wrong = f"{(int(await code_of(db)) + 1) % 10**6:06}"
    for code in (wrong, "", "12345", "१२३४५६"):
        with pytest.raises(LogInRefused):
            await log_in.with_code(half, code, come_from())
    code = await code_of(db)
    done = await log_in.with_code(half, f"{code[:3]} {code[3:]}", come_from())
    assert (await session_of(db, done.token)).staff_id == staff_id
    assert (await audit(db))[-1][1:] == ("log_in", False, "password and code")


@pytest.mark.parametrize(("steps", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_clock_may_be_off_by_one_step(db: Database, steps: int, is_taken: bool) -> None:
    await make_staff(db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    await move_clock(db, minutes=5)
    log_in = make_log_in(db)
    half = await half_of(log_in)
    if is_taken:
        assert await log_in.with_code(half, await code_of(db, steps=steps), come_from())
    else:
        with pytest.raises(LogInRefused):
            await log_in.with_code(half, await code_of(db, steps=steps), come_from())


async def test_a_code_counts_once(db: Database) -> None:
    await make_staff(db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    await move_clock(db, minutes=5)
    log_in = make_log_in(db)
    half, code, earlier = await half_of(log_in), await code_of(db), await code_of(db, steps=-1)
    # Three at once: one of them gets in.
    results = await asyncio.gather(
        *(log_in.with_code(half, code, come_from(f"192.0.2.{n}")) for n in range(3)), return_exceptions=True
    )
    assert [type(one) for one in results].count(LoggedIn) == 1
    for replayed in (code, earlier):
        with pytest.raises(LogInRefused):
            await log_in.with_code(half, replayed, come_from(device="another"))
    await move_clock(db, seconds=60)
    assert await log_in.with_code(half, await code_of(db), come_from(device="another"))


async def test_a_secret_of_an_app_is_of_no_use_without_the_products_key(db: Database) -> None:
    await make_staff(db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    kept = await db.fetch_value("SELECT totp_secret FROM staff.account")
    assert APP_SECRET.encode() not in kept
    other = LogIn(db, Secret("another key, with which nothing was sealed"), Passwords())
    half = await other.with_password("meera", SHORT_PASSWORD, come_from())
    assert isinstance(half, SecondFactorNeeded)
    with pytest.raises(LogInRefused):
        await other.with_code(half, await code_of(db), come_from())


async def test_codes_cannot_be_guessed_for_long(db: Database) -> None:
    await make_staff(db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    await move_clock(db, minutes=5)
    log_in = make_log_in(db)
    half = await half_of(log_in)
    wrong = f"{(int(await code_of(db)) + 1) % 10**6:06}"
    for n in range(5):
        with pytest.raises(LogInRefused):  # whatever browser it claims to be
            await log_in.with_code(half, wrong, come_from(f"192.0.2.{n}", f"device {n}"))
    with pytest.raises(TooManyGuesses) as refused:
        await log_in.with_code(half, await code_of(db), come_from(device="another"))
    assert 0 < int(str(refused.value.members["retry_after"])) <= 60
    await move_clock(db, seconds=61)
    own = await log_in.with_code(half, await code_of(db), come_from())
    for _ in range(6):
        with pytest.raises((LogInRefused, TooManyGuesses)):
            await log_in.with_code(half, wrong, come_from())
    # In her own browser she is not slowed by them.
    await move_clock(db, seconds=30)
    assert await log_in.with_code(half, await code_of(db), come_from(device=own.device))


async def test_bad_answers_of_passkeys_do_not_fill_the_audit(db: Database) -> None:
    log_in = make_log_in(db)
    challenge = Challenge(
        b"x" * 32, await product_now(db) + timedelta(minutes=5), Site("localhost", "http://localhost")
    )
    for _ in range(30):
        with pytest.raises(LogInRefused):
            await log_in.with_passkey(challenge, '{"rawId": "AAAA"}', come_from())
    assert len(await audit(db)) == 10


async def test_bad_answers_of_others_keep_nobody_out(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who answers well gets in and opens their screen, however many bad answers came from the same address."""
    staff_id = await make_staff(db)
    log_in = make_log_in(db)
    own = await session_of(db, (await logged_in(log_in)).token)
    challenge = Challenge(
        b"x" * 32, await product_now(db) + timedelta(minutes=5), Site("localhost", "http://localhost")
    )
    for _ in range(12):
        with pytest.raises(LogInRefused):
            await log_in.with_passkey(challenge, '{"rawId": "AAAA"}', come_from())

    async def answered(*_: object) -> dict[str, object]:
        return {"staff_id": staff_id, "version": own.version, "log_on": "meera"}

    monkeypatch.setattr(log_in, "_answered", answered)
    assert isinstance(await log_in.with_passkey(challenge, "a good one", come_from()), LoggedIn)
    await log_in.prove_with_passkey(own, challenge, "a good one", come_from().requester)


async def test_1000_guesses_are_slowed_and_lock_nobody_out(db: Database, held: list[float]) -> None:
    await make_staff(db)
    log_in = make_log_in(db)
    own = await logged_in(log_in, address="198.51.100.1")
    checked = 0
    waits: list[int] = []
    for n in range(1000):  # from 25 addresses, and 40 guesses from each
        try:
            await log_in.with_password("meera", WRONG, come_from(f"192.0.2.{n % 25}"))
        except LogInRefused:
            checked += 1
        except TooManyGuesses as refused:
            waits.append(int(str(refused.members["retry_after"])))
    assert (checked, len(waits)) == (250, 750)
    assert 0 < min(waits) <= max(waits) <= 60
    assert max(held) == 2
    assert sum(held) > 400
    # She is slowed nowhere in her own browser, and nowhere else for more than two seconds.
    held.clear()
    await logged_in(log_in, address="192.0.2.1", device=own.device)
    assert held == []
    await logged_in(log_in, address="203.0.113.9")
    assert held == [2]
    # An address may go on a minute later, and others' guesses were at nobody else.
    await move_clock(db, timedelta(seconds=61))
    with pytest.raises(LogInRefused):
        await log_in.with_password("meera", WRONG, come_from("192.0.2.1"))


async def test_a_known_browser_is_no_way_round(db: Database) -> None:
    await make_staff(db)
    log_in = make_log_in(db)
    own = await logged_in(log_in)
    outcomes = []
    for _ in range(40):
        try:
            await log_in.with_password("meera", WRONG, come_from(device=own.device))
        except (LogInRefused, TooManyGuesses) as error:
            outcomes.append(type(error))
    assert outcomes.count(LogInRefused) == 30  # 20 as a known browser, then 10 as a stranger
    # It is known for its own people only.
    await make_staff(db, "other")
    await db.execute("DELETE FROM staff.guess")
    for _ in range(12):
        with pytest.raises((LogInRefused, TooManyGuesses)) as last:
            await log_in.with_password("other", WRONG, come_from(device=own.device))
    assert last.type is TooManyGuesses


async def test_guesses_at_others_keep_nobody_out_who_shares_the_address(db: Database, held: list[float]) -> None:
    await make_staff(db)
    await make_staff(db, "other")
    log_in = make_log_in(db)
    own = await logged_in(log_in)
    for n in range(25):
        with pytest.raises(LogInRefused):
            await log_in.with_password(f"nobody{n}", WRONG, come_from())
    # In a new browser, and in one that is known for a colleague alone.
    for device in (None, own.device):
        held.clear()
        await logged_in(log_in, "other", device=device)
        assert held == [2]
        await db.execute(
            "DELETE FROM staff.device WHERE staff_id = (SELECT staff_id FROM staff.account WHERE log_on = 'other')"
        )
    # A right one takes out no more than it put in.
    address = await db.fetch_value("SELECT count(*) FROM staff.guess WHERE used >= 10")
    assert address == 1


async def test_guesses_beyond_are_few_at_once(db: Database, held: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """So many guesses came from an address that they share one place; strangers elsewhere have theirs."""
    await make_staff(db)
    checks = Passwords()
    beyond: list[bool] = []

    async def verify(*_: object, is_known: bool, is_beyond: bool = False) -> bool:
        beyond.append(is_beyond)
        return False

    log_in = LogIn(db, SECRET, checks)
    for n in range(12):
        with pytest.raises(LogInRefused):
            await log_in.with_password(f"nobody{n}", WRONG, come_from())
    monkeypatch.setattr(checks, "verify", verify)
    for address in ("192.0.2.7", "192.0.2.8"):
        with pytest.raises(LogInRefused):
            await log_in.with_password("meera", WRONG, come_from(address))
    assert beyond == [True, False]


async def test_a_wide_network_is_counted_as_one(db: Database, held: list[float]) -> None:
    log_in = make_log_in(db)
    for n in range(70):
        where = From(Requester(f"2001:db8:0:{n:x}::/64", "2001:db8::/48"), "")
        with pytest.raises(LogInRefused):
            await log_in.with_password(f"nobody{n}", WRONG, where)
    assert held == [2] * 10


async def test_what_the_browser_came_with_is_no_session(db: Database) -> None:
    """An attacker who plants a token in a browser has nothing of the session that begins there."""
    await make_staff(db)
    log_in = make_log_in(db)
    done = await logged_in(log_in, token="planted")
    assert done.token != "planted"
    assert await StaffSessions(db).find("planted") is None
    again = await logged_in(log_in, token=done.token)
    assert await StaffSessions(db).find(done.token) is None  # one browser has one session
    assert await StaffSessions(db).find(again.token) is not None
