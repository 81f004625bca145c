"""What many requests at once, and long series of them, cannot get past."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from healthplus.accounts import proofs
from healthplus.accounts.codes import Codes, Sent
from healthplus.accounts.patients import Patients, add_patient
from healthplus.accounts.sessions import KnownTokens, queries
from healthplus.database import Database, Transaction
from healthplus.errors import CodeOver, ProofNeeded, TooManyCodes
from tests.fixtures.clock import move_clock, product_now, until
from tests.fixtures.codes import ADDRESS, PHONE, SECRET, ask, guess, make_codes, number, solve
from tests.fixtures.races import rewrite, stub

BUDGET = 50


@pytest.fixture
async def processes(dsn: str) -> AsyncIterator[list[Codes]]:
    """Codes of three processes: their calls meet only in the database."""
    async with contextlib.AsyncExitStack() as stack:
        yield [
            make_codes(await stack.enter_async_context(await Database.connect(dsn, max_size=4)), BUDGET)
            for _ in range(3)
        ]


@pytest.fixture
def cheap_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work takes no time."""
    monkeypatch.setattr(proofs, "_ITERATIONS", 1)
    monkeypatch.setattr(proofs, "_TRIES_OF_A_STEP", 1)


async def concurrent_guesses(db: Database) -> int:
    sent = await ask(make_codes(db), "a")
    each = [make_codes(db) for _ in range(20)]  # each its own turn, as in as many processes
    return sum(await asyncio.gather(*(guess(codes, sent, n, sent.code or "") for n, codes in enumerate(each))))


async def test_without_the_lock_more_than_five_guesses_are_compared(db: Database) -> None:
    await stub(db, "accounts.lock_codes", "RETURN;")
    await rewrite(
        db, "accounts.count_guess", ("UPDATE accounts.challenge", "PERFORM pg_sleep(0.1); UPDATE accounts.challenge")
    )
    assert await concurrent_guesses(db) > 5


async def test_of_many_guesses_at_once_five_are_compared(db: Database) -> None:
    await rewrite(
        db, "accounts.count_guess", ("UPDATE accounts.challenge", "PERFORM pg_sleep(0.01); UPDATE accounts.challenge")
    )
    assert await concurrent_guesses(db) == 5
    assert await db.fetch_value("SELECT tries FROM accounts.challenge") == 5


async def verified_at_once(db: Database, keys: tuple[str, ...]) -> Counter[object]:
    """Verify the right code of one unknown number, under each key at once; count the results."""
    sent = await ask(make_codes(db), "a")
    # All have been found right before any of them signs in.
    await rewrite(db, "accounts.sign_in", ("\nBEGIN\n", "\nBEGIN\n PERFORM pg_sleep(0.05);\n"))

    async def verify(key: str) -> object:
        try:
            return await make_codes(db).verify(sent.challenge_id, sent.code or "", key, "")
        except CodeOver:
            return CodeOver

    return Counter(await asyncio.gather(*(verify(key) for key in keys)))


async def test_without_the_row_lock_a_code_works_twice(db: Database) -> None:
    await rewrite(
        db,
        "accounts.sign_in",
        ("challenge_id = p_challenge_id FOR UPDATE;", "challenge_id = p_challenge_id; PERFORM pg_sleep(0.1);"),
    )
    assert (await verified_at_once(db, ("b", "c")))[CodeOver] == 0
    assert await db.fetch_value("SELECT count(*) FROM accounts.session") == 2


async def test_the_right_code_given_twice_at_once_makes_one_patient(db: Database) -> None:
    results = await verified_at_once(db, ("b", "c"))
    assert results.pop(CodeOver) == 1
    assert list(results.values()) == [1]
    assert await db.fetch_value("SELECT count(*) FROM accounts.patient") == 1
    assert await db.fetch_value("SELECT count(*) FROM accounts.session") == 1


async def test_a_repeat_at_the_same_moment_gets_the_same_token(db: Database) -> None:
    results = await verified_at_once(db, ("b", "b", "b"))
    assert list(results.values()) == [3]
    assert await db.fetch_value("SELECT count(*) FROM accounts.session") == 1


async def two_codes_for_one_number(db: Database) -> int:
    """Verify two codes sent to one unknown number at once; return how many patients that made."""
    codes = make_codes(db)
    sent = [await ask(codes, "a", address="192.0.2.1")]
    await move_clock(db, seconds=31)
    sent.append(await ask(codes, "b", address="192.0.2.2"))
    await asyncio.gather(*(make_codes(db).verify(one.challenge_id, one.code or "", "c", "") for one in sent))
    assert await db.fetch_value("SELECT count(*) FROM accounts.session") == 2
    patients: int = await db.fetch_value("SELECT count(*) FROM accounts.patient")
    return patients


async def test_without_the_constraint_one_number_is_two_patients(db: Database) -> None:
    await db.execute("ALTER TABLE accounts.patient DROP CONSTRAINT patient_phone_key")
    await db.execute("CREATE INDEX ON accounts.patient (phone)")
    await rewrite(db, "accounts.sign_in", ("EXIT WHEN FOUND;", "PERFORM pg_sleep(0.1); EXIT WHEN FOUND;"))
    assert await two_codes_for_one_number(db) == 2


async def test_one_number_is_one_patient(db: Database) -> None:
    await rewrite(db, "accounts.sign_in", ("EXIT WHEN FOUND;", "PERFORM pg_sleep(0.1); EXIT WHEN FOUND;"))
    assert await two_codes_for_one_number(db) == 1


class _Slowly(Transaction):
    """Does something just after it has ended the codes under way."""

    def __init__(self, transaction: Transaction, then: Callable[[], Awaitable[None]]) -> None:
        super().__init__(transaction._connection)
        self._then = then

    async def execute(self, sql: str, *args: object) -> str:
        tag = await super().execute(sql, *args)
        if sql == queries.end_challenges:
            await self._then()
        return tag


async def sessions_of_nobody(db: Database) -> int:
    """Sign in while an erasure of the same patient is under way; count what sessions of the erased that leaves."""
    await rewrite(
        db, "accounts.sign_in", ("INSERT INTO accounts.consent", "PERFORM pg_sleep(0.3); INSERT INTO accounts.consent")
    )
    codes = make_codes(db)
    patient_id, _ = await add_patient(db, "Asha", PHONE)
    signing_in: list[asyncio.Task[object]] = []

    async def sign_in() -> None:
        sent = await ask(codes, "a")
        signing_in.append(asyncio.create_task(codes.verify(sent.challenge_id, sent.code or "", "b", "")))
        await until(lambda: sleeping(db))

    async with db.transaction() as transaction:
        await Patients(db, SECRET, KnownTokens(db)).erase(_Slowly(transaction, sign_in), patient_id)
    await asyncio.gather(*signing_in, return_exceptions=True)
    assert len(signing_in) == 1
    found: int = await db.fetch_value("SELECT count(*) FROM accounts.session WHERE patient_id = $1", patient_id)
    return found


async def sleeping(db: Database) -> bool:
    sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')"
    found: bool = await db.fetch_value(sql)
    return found


async def withdrawn_meanwhile(db: Database) -> int:
    """Withdraw consent while the same patient signs in; count the sessions that leaves."""
    codes = make_codes(db)
    first = await ask(codes, "a")
    patient_id, _, _ = await codes.verify(first.challenge_id, first.code or "", "b", "")
    await move_clock(db, seconds=31)
    sent = await ask(codes, "c")
    await rewrite(
        db, "accounts.sign_in", ("INSERT INTO accounts.session", "PERFORM pg_sleep(0.3); INSERT INTO accounts.session")
    )
    signing_in = asyncio.create_task(codes.verify(sent.challenge_id, sent.code or "", "d", ""))
    await until(lambda: sleeping(db))
    await Patients(db, SECRET, KnownTokens(db)).withdraw_consents(patient_id)
    await asyncio.gather(signing_in, return_exceptions=True)
    found: int = await db.fetch_value("SELECT count(*) FROM accounts.session WHERE revoked_at IS NULL")
    return found


async def test_without_the_locks_a_session_outlives_the_consent(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(queries, "end_challenges", "SELECT $1::bytea")
    await rewrite(db, "accounts.sign_in", ("WHERE phone = held.phone FOR UPDATE", "WHERE phone = held.phone"))
    assert await withdrawn_meanwhile(db) == 1


async def test_no_session_outlives_the_consent(db: Database) -> None:
    assert await withdrawn_meanwhile(db) == 0


async def test_without_the_patients_lock_the_erased_are_signed_in(db: Database) -> None:
    await rewrite(db, "accounts.sign_in", ("WHERE phone = held.phone FOR UPDATE", "WHERE phone = held.phone"))
    assert await sessions_of_nobody(db) == 1


async def test_nobody_is_signed_in_as_the_erased(db: Database) -> None:
    assert await sessions_of_nobody(db) == 0


async def asked_at_once(db: Database, key: str) -> list[object]:
    return await asyncio.gather(
        *(ask(make_codes(db), key.format(n), address=f"192.0.2.{n % 2}") for n in range(10)), return_exceptions=True
    )


async def test_without_the_lock_requests_meet(db: Database) -> None:
    await stub(db, "accounts.lock_codes", "RETURN;")
    await rewrite(
        db,
        "accounts.request_code",
        ("INSERT INTO accounts.challenge", "PERFORM pg_sleep(0.1); INSERT INTO accounts.challenge"),
    )
    # Several were sent, unless the messages' numbers got into each other's way.
    assert sum(isinstance(answer, TooManyCodes) for answer in await asked_at_once(db, "{}")) < 9


async def test_of_requests_for_one_number_at_once_one_is_sent(db: Database) -> None:
    refusals = [answer for answer in await asked_at_once(db, "{}") if isinstance(answer, TooManyCodes)]
    assert len(refusals) == 9
    assert await db.fetch_value("SELECT count(*) FROM accounts.challenge") == 1


async def ask_at_any_price(codes: Codes, key: str, phone: str = PHONE, address: str = ADDRESS) -> Sent:
    """Ask for a code, and work for it as often as the price rises meanwhile."""
    proof = None
    while True:
        try:
            return await ask(codes, key, phone, address, proof=proof)
        except ProofNeeded as error:
            challenge: Any = error.members["challenge"]
            proof = solve(challenge)


async def guess_for_days(db: Database, days: int) -> list[datetime]:
    """Guess 16 times at each code that can be had for a number in so many days; return when a guess was compared."""
    codes = [make_codes(db), make_codes(db)]
    compared: list[datetime] = []
    began = await product_now(db)
    burst = 0
    while (at := await product_now(db)) < began + timedelta(days=days):
        burst += 1
        try:
            sent = await ask_at_any_price(codes[0], f"burst {burst}", address=f"192.0.{burst // 250}.{burst % 250}")
        except TooManyCodes as error:
            await move_clock(db, seconds=int(str(error.members["retry_after"])))
            continue
        results = await asyncio.gather(*(guess(codes[n % 2], sent, n, sent.code or "") for n in range(16)))
        compared += [at] * sum(results)
    return compared


def most_within(times: list[datetime], span: timedelta) -> int:
    return max(sum(start <= at < start + span for at in times) for start in times)


async def test_without_the_cooling_a_day_allows_too_many_guesses(db: Database, cheap_work: None) -> None:
    await rewrite(db, "accounts.cooling_time", ("15 minutes", "30 seconds"), ("3 hours", "30 minutes"))
    assert most_within(await guess_for_days(db, 1), timedelta(days=1)) > 100


async def test_a_determined_guesser_has_a_chance_of_one_in_ten_thousand_a_day(db: Database, cheap_work: None) -> None:
    compared = await guess_for_days(db, 8)
    assert most_within(compared, timedelta(days=1)) <= 75
    # From the second day on, two tries for each of 15 codes a day.
    later = [at for at in compared if at > compared[0] + timedelta(days=1)]
    assert most_within(later, timedelta(days=1)) <= 30


async def test_without_the_lock_a_proof_counts_twice(db: Database, cheap_work: None) -> None:
    await stub(db, "accounts.lock_codes", "RETURN;")
    await db.execute("ALTER TABLE accounts.spent_proof DROP CONSTRAINT spent_proof_pkey")
    await db.execute("ALTER TABLE accounts.challenge DROP CONSTRAINT challenge_serial_key")
    await rewrite(
        db,
        "accounts.request_code",
        ("INSERT INTO accounts.spent_proof", "PERFORM pg_sleep(0.2); INSERT INTO accounts.spent_proof"),
    )
    assert await sent_for_one_proof(db) > 1


async def test_one_proof_is_one_code(db: Database, cheap_work: None) -> None:
    assert await sent_for_one_proof(db) == 1


async def sent_for_one_proof(db: Database) -> int:
    """Send one proof with ten requests at once; return how many codes that got."""
    for n in range(30):
        await ask(make_codes(db), f"{n}", number(n))
    with pytest.raises(ProofNeeded) as caught:
        await ask(make_codes(db), "x", number(30))
    challenge: Any = caught.value.members["challenge"]
    proof = solve(challenge)
    answers = await asyncio.gather(
        *(ask(make_codes(db), f"x {n}", number(30), proof=proof) for n in range(10)), return_exceptions=True
    )
    return sum(isinstance(answer, Sent) for answer in answers)


async def sent_at_once(db: Database) -> int:
    """Ask for twenty codes at once, from everywhere and for numbers of their own; return how many were sent."""
    await rewrite(
        db,
        "accounts.request_code",
        ("INSERT INTO accounts.challenge", "PERFORM pg_sleep(0.05); INSERT INTO accounts.challenge"),
    )
    answers = await asyncio.gather(
        *(ask_at_any_price(make_codes(db, BUDGET), f"{n}", number(n), f"203.{n}.113.7") for n in range(20)),
        return_exceptions=True,
    )
    return sum(isinstance(answer, Sent) for answer in answers)


async def test_without_the_lock_more_is_sent_than_the_budget_has(db: Database, cheap_work: None) -> None:
    await stub(db, "accounts.lock_codes", "RETURN;")
    await db.execute("ALTER TABLE accounts.challenge DROP CONSTRAINT challenge_serial_key")
    assert await sent_at_once(db) > 7


async def test_of_many_requests_at_once_the_budget_is_sent(db: Database, cheap_work: None) -> None:
    assert await sent_at_once(db) == 7


async def test_a_thousand_requests_stay_within_the_budget(
    db: Database, processes: list[Codes], cheap_work: None
) -> None:
    async def one(serial: int) -> bool:
        try:
            where = f"198.{serial // 62500}.{serial // 250 % 250}.{serial % 250}"
            await ask_at_any_price(processes[serial % 3], f"{serial}", number(serial % 10_000), where)
        except TooManyCodes:
            return False
        return True

    sent = []
    for hour in range(5):
        sent.append(sum(await asyncio.gather(*(one(serial) for serial in range(200 * hour, 200 * (hour + 1))))))
        await move_clock(db, hours=1)
    # Strangers have 5/8 of the budget of 50: a quarter of that at once, the rest evenly over 24 hours.
    assert sent == [7, 1, 1, 1, 1]
    assert await db.fetch_value("SELECT count(*) FROM accounts.challenge") == sum(sent) <= BUDGET
    await move_clock(db, hours=19)
    assert await one(10_000)


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_request_that_comes_twice_at_once_is_no_second_one(
    processes: list[Codes], db: Database, guarded: bool
) -> None:
    """The one is granted while the other's price is read: what it then finds is itself."""
    repeat = "is_repeat := EXISTS"
    if not guarded:  # it is looked for first
        await rewrite(db, "accounts.price_of_code", (repeat, "is_repeat := is_repeat OR false; PERFORM EXISTS"))
        await rewrite(
            db,
            "accounts.price_of_code",
            (
                "is_spent := EXISTS",
                "is_repeat := EXISTS (SELECT FROM accounts.challenge WHERE key_hash = p_key_hash); is_spent := EXISTS",
            ),
        )
    source = await db.fetch_value("SELECT pg_get_functiondef('accounts.price_of_code'::regproc)")
    async with db.transaction() as transaction:
        await transaction.execute("SELECT pg_advisory_xact_lock(42)")
        await rewrite(
            db, "accounts.price_of_code", ("is_known := ", "PERFORM pg_advisory_xact_lock_shared(42); is_known := ")
        )
        late = asyncio.create_task(ask(processes[0], "a"))

        async def is_waiting() -> bool:
            return bool(
                await db.fetch_value(
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted)"
                )
            )

        await until(is_waiting)
        await db.execute(source)
        sent = await ask(processes[1], "a")
    if guarded:
        assert (await late).challenge_id == sent.challenge_id
        assert (await late).code is None
    else:
        with pytest.raises(TooManyCodes):
            await late
