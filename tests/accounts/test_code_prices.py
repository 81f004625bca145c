"""What a code costs a stranger, and what a known device never pays."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import altcha.v2
import pytest

from healthplus.accounts import proofs
from healthplus.accounts.actors import Staff
from healthplus.accounts.codes import Codes, device_hash
from healthplus.accounts.patients import Patients
from healthplus.accounts.proofs import Proofs
from healthplus.accounts.sessions import KnownTokens, patient_of_token
from healthplus.database import Database
from healthplus.errors import BadInput, CodeOver, ProofNeeded, TooManyCodes
from healthplus.retention.retention import Retention
from tests.fixtures.clock import move_clock, product_now
from tests.fixtures.codes import ADDRESS, PHONE, SECRET, ask, guess, make_codes, number, solve

pytestmark = pytest.mark.dates


@pytest.fixture
def codes(db: Database) -> Codes:
    return make_codes(db)


@pytest.fixture(autouse=True)
def cheap_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work takes no time: what is asked for is looked at here, and how long it takes by a test of the pages."""
    monkeypatch.setattr(proofs, "_ITERATIONS", 1)
    monkeypatch.setattr(proofs, "_TRIES_OF_A_STEP", 1)


async def needed(codes: Codes, key: str, phone: str = PHONE, address: str = ADDRESS, **more: Any) -> ProofNeeded:
    with pytest.raises(ProofNeeded) as caught:
        await ask(codes, key, phone, address, **more)
    assert phone[-10:] not in str(caught.value.members)
    return caught.value


def steps_of(error: ProofNeeded) -> int:
    steps: int = error.members["challenge"]["parameters"]["data"]["steps"]  # type: ignore[index]
    return steps


def work_of(error: ProofNeeded) -> str:
    challenge: Any = error.members["challenge"]
    return solve(challenge)


async def sign_in(codes: Codes, db: Database, phone: str = PHONE) -> str:
    """Sign in with a number that nobody has asked for lately; return the device's token."""
    sent = await ask(codes, f"sign in {phone}", phone, "198.51.100.1")
    signed_in = await codes.verify(sent.challenge_id, sent.code or "", f"sign in {phone}", "")
    await move_clock(db, days=1)
    return signed_in.device


async def refused(codes: Codes, key: str, phone: str = PHONE, address: str = ADDRESS, **more: Any) -> tuple[Any, Any]:
    with pytest.raises(TooManyCodes) as caught:
        await ask(codes, key, phone, address, **more)
    assert phone not in str(caught.value)
    return caught.value.members["reason"], caught.value.members["retry_after"]


async def test_beyond_what_is_free_each_step_costs_more(codes: Codes, db: Database) -> None:
    for n in range(30):
        await ask(codes, f"{n}", number(n))
    paid = []
    for n in range(30, 115):
        error = await needed(codes, f"{n}", number(n))
        assert error.members["reason"] == "address"
        paid.append(steps_of(error))
        await ask(codes, f"{n}", number(n), proof=work_of(error))
    assert paid == [min(8, 1 + n // 10) for n in range(85)]
    await ask(codes, "next door", number(200), "192.0.2.8")
    await move_clock(db, hours=1)
    await ask(codes, "later", number(201))


async def test_a_wider_network_pays_together(codes: Codes) -> None:
    for n in range(60):
        await ask(codes, f"{n}", number(n), f"2001:db8:7:{n}::/64", network="2001:db8:7::/48")
    error = await needed(codes, "x", number(60), "2001:db8:7:99::/64", network="2001:db8:7::/48")
    assert (error.members["reason"], steps_of(error)) == ("network", 1)
    await ask(codes, "y", number(60), "2001:db8:8:1::/64", network="2001:db8:8::/48")


async def test_a_range_of_numbers_costs_everybody_who_asks(codes: Codes) -> None:
    for n in range(20):
        await ask(codes, f"{n}", f"+91987654{n:04}", f"192.0.2.{n}")
    error = await needed(codes, "x", "+919876540020", "192.0.2.99")
    assert (error.members["reason"], steps_of(error)) == ("prefix", 1)
    await ask(codes, "x", "+919876540020", "192.0.2.99", proof=work_of(error))
    await ask(codes, "y", "+919876550020", "192.0.2.99")


async def test_nobody_is_bombed_with_messages(codes: Codes, db: Database) -> None:
    """Four, 30 seconds apart; four more, a quarter of an hour apart; then one in three hours: 15 in a day at most."""
    began, sent = await product_now(db), []
    for n in range(24):
        proof = None
        for _ in range(3):
            try:
                await ask(codes, f"{n}", address=f"192.0.2.{n}", proof=proof)
                sent.append(await product_now(db) - began)
                break
            except ProofNeeded as error:
                proof = work_of(error)
            except TooManyCodes as error:
                await move_clock(db, seconds=int(str(error.members["retry_after"])))
    gaps = [round((after - before).total_seconds(), -1) for before, after in pairwise(sent)]
    assert gaps[:10] == [30, 30, 30, 900, 900, 900, 900, 10800, 10800, 10800]
    day = timedelta(days=1)
    assert max(sum(start <= at < start + day for at in sent) for start in sent) == 15


async def test_a_known_device_pays_nothing_and_waits_for_nobody(codes: Codes, db: Database) -> None:
    device = await sign_in(codes, db)
    for n in range(4):
        await ask(codes, f"stranger {n}", address="192.0.2.66")
        await move_clock(db, seconds=30)
    assert (await refused(codes, "stranger at once", address="192.0.2.66"))[0] == "number"
    for n in range(4):
        sent = await ask(codes, f"own {n}", device=device)
        assert sent.resend_in == 30 if n < 3 else 900
        await move_clock(db, seconds=30)
    assert await refused(codes, "own fifth", device=device) == ("number", 870)
    signed_in = await codes.verify(sent.challenge_id, sent.code or "", "own", "", device)
    assert signed_in.device == device
    # It is known for its number alone, and only while it is remembered.
    await move_clock(db, seconds=900)
    await needed(codes, "elsewhere", address="192.0.2.66")
    assert await db.fetch_value("SELECT is_known FROM accounts.challenge ORDER BY serial DESC LIMIT 1")
    await move_clock(db, days=400)
    await Retention(db).forget()
    assert await db.fetch_value("SELECT count(*) FROM accounts.device") == 0


async def test_what_is_no_device(codes: Codes, db: Database) -> None:
    device = await sign_in(codes, db)
    for _ in range(4):
        await ask(codes, f"{_}", address="192.0.2.66")
        await move_clock(db, minutes=15)
    for other in (None, "", device[:-1], device + "x", "x" * 43, device[::-1], "\x00" * 43):
        assert steps_of(await needed(codes, "x", device=other)) == 1
    other = await sign_in(codes, db, number(1))
    for _ in range(4):
        await ask(codes, f"next day {_}", address="192.0.2.66")
        await move_clock(db, minutes=15)
    assert steps_of(await needed(codes, "x", device=other)) == 1
    await ask(codes, "x", device=device)
    assert device_hash(device) != device_hash(other)


async def test_signing_out_everywhere_forgets_the_devices(codes: Codes, db: Database) -> None:
    patients = Patients(db, SECRET, KnownTokens(db))
    sent = await ask(codes, "a")
    patient_id, _, _ = await codes.verify(sent.challenge_id, sent.code or "", "b", "")
    assert await db.fetch_value("SELECT count(*) FROM accounts.device") == 1
    await patients.end_sessions(patient_id)
    assert await db.fetch_value("SELECT count(*) FROM accounts.device") == 0


async def test_a_device_that_guesses_is_a_stranger_again(codes: Codes, db: Database) -> None:
    device = await sign_in(codes, db)
    for n in range(4):
        sent = await ask(codes, f"{n}", device=device)
        assert await db.fetch_value("SELECT is_known FROM accounts.challenge ORDER BY serial DESC LIMIT 1")
        for serial in range(6):
            await guess(codes, sent, serial, sent.code or "")
        await move_clock(db, minutes=15)
    await ask(codes, "fifth", device=device)
    assert not await db.fetch_value("SELECT is_known FROM accounts.challenge ORDER BY serial DESC LIMIT 1")


async def test_strangers_who_have_guessed_get_two_tries_a_code(codes: Codes, db: Database) -> None:
    device = await sign_in(codes, db)
    for n in range(5):
        proof = work_of(await needed(codes, f"{n}")) if n == 4 else None
        sent = await ask(codes, f"{n}", proof=proof)
        assert [await guess(codes, sent, serial, sent.code or "") for serial in range(6)] == (
            [True] * 5 + [False] if n < 4 else [True] * 2 + [False] * 4
        )
        await move_clock(db, minutes=15)
    own = await ask(codes, "own", device=device)
    assert [await guess(codes, own, n, own.code or "") for n in range(4)] == [True] * 4
    await codes.verify(own.challenge_id, own.code or "", "own", "", device)


async def test_waiting_pays_too(codes: Codes, db: Database) -> None:
    for n in range(30):
        await ask(codes, f"{n}", number(n))
    first = await needed(codes, "x", number(30))
    token = str(first.members["wait_token"])
    assert first.members["retry_after"] == 90
    await move_clock(db, seconds=60)
    early = await needed(codes, "x", number(30), proof=token)
    assert early.members["wait_token"] == token
    assert early.members["retry_after"] in (30, 31)
    await move_clock(db, seconds=30)
    assert (await needed(codes, "y", number(31), proof=token)).members["retry_after"] == 90  # another's number
    sent = await ask(codes, "x", number(30), proof=token)
    assert sent.code
    assert (await ask(codes, "x", number(30), proof=token)).challenge_id == sent.challenge_id  # a repeat
    await move_clock(db, seconds=30)
    assert (await needed(codes, "z", number(30), proof=token)).members["wait_token"] != token  # used


async def test_a_thousand_forms_do_not_wait_at_once(codes: Codes, db: Database) -> None:
    for n in range(30):
        await ask(codes, f"{n}", number(n))
    tokens = [str((await needed(codes, f"{n}", number(n))).members["wait_token"]) for n in range(30, 60)]
    sent: list[int] = []
    for minutes in range(50):
        await move_clock(db, minutes=1)
        for n, token in enumerate(tokens, 30):
            if n not in sent and len(sent) < 29:
                try:
                    await ask(codes, f"{n}", number(n), proof=token)
                    sent.append(n)
                except ProofNeeded:
                    break
        if minutes == 1:
            assert len(sent) == 4
    assert len(sent) == 9  # after 2 minutes (four of them), 3, 6, 12, 24 and 48


async def test_no_proof_counts_twice_or_for_another_or_for_ever(codes: Codes, db: Database) -> None:
    for n in range(30):
        await ask(codes, f"{n}", number(n))
    proof = work_of(await needed(codes, "a", number(30)))
    await needed(codes, "b", number(31), proof=proof)
    await ask(codes, "a", number(30), proof=proof)
    await move_clock(db, seconds=30)
    await needed(codes, "c", number(30), proof=proof)
    late = work_of(await needed(codes, "d", number(32)))
    await move_clock(db, seconds=601)
    await needed(codes, "d", number(32), proof=late)
    assert await db.fetch_value("SELECT count(*) FROM accounts.spent_proof") == 1
    await Retention(db).forget()
    assert await db.fetch_value("SELECT count(*) FROM accounts.spent_proof") == 0


async def test_forged_proofs(codes: Codes, db: Database) -> None:
    for n in range(40):
        proof = None if n < 30 else work_of(await needed(codes, f"{n}", number(n)))
        await ask(codes, f"{n}", number(n), proof=proof)
    error = await needed(codes, "x", number(50))
    challenge: Any = error.members["challenge"]
    assert steps_of(error) == 2
    solved = json.loads(base64.b64decode(work_of(error)))
    easier = {"parameters": {**challenge["parameters"], "keyPrefix": "0"}, "signature": challenge["signature"]}
    unsigned = altcha.v2.create_challenge("PBKDF2/SHA-256", 1, counter=1, hmac_secret=b"mine").to_dict()
    wrong = {"challenge": challenge, "solution": {**solved["solution"], "derivedKey": "00" * 32}}
    forged: list[object] = [
        {"challenge": easier, "solution": solved["solution"]},
        wrong,
        {"challenge": challenge},
        {"challenge": challenge, "solution": None},
        {"challenge": {**challenge, "signature": None}, "solution": solved["solution"]},
        {"challenge": {"parameters": [], "signature": ""}, "solution": {}},
        {"challenge": {"parameters": {**challenge["parameters"], "data": {"__proto__": 1}}}, "solution": {}},
        [],
        None,
        7,
    ]
    texts = [base64.b64encode(json.dumps(one).encode()).decode() for one in forged]
    texts += [solve(unsigned), "", "x", ".", "a.b", "é.é", "\x00", "[" * 3000, base64.b64encode(b"[" * 2900).decode()]
    texts += [base64.b64encode(b"\xff\xfe").decode(), "9" * 5000, str(error.members["wait_token"])[:-2]]
    for text in texts:
        assert (await needed(codes, "x", number(50), proof=text)).members["reason"] == "address"
    # Work for a step less will do, since the price may have risen meanwhile; for two less it will not.
    cheap = Proofs(SECRET).challenge(number(50), 1, await product_now(db))
    await ask(codes, "x", number(50), proof=solve(cheap))


async def test_the_budget_refills_by_the_minute_and_keeps_a_part_for_known_devices(db: Database) -> None:
    codes = make_codes(db, per_day=320)  # 50 for strangers at once and 150 a day; 20 and 60 for known devices
    devices = {n: await sign_in(codes, db, number(1000 + n)) for n in range(25)}
    prices = []
    for n in range(50):
        where = f"203.0.{n}.7"
        try:
            await ask(codes, f"{n}", number(n), where)
            prices.append(0)
        except ProofNeeded as error:
            prices.append(steps_of(error))
            await ask(codes, f"{n}", number(n), where, proof=work_of(error))
    assert prices == sorted(prices)
    assert [prices.count(step) for step in range(6)] == [26, 12, 6, 3, 2, 1]
    empty = await needed(codes, "late", number(60), "203.0.113.8")
    assert empty.members["reason"] == "all"
    late = work_of(empty)
    reason, seconds = await refused(codes, "late", number(60), "203.0.113.8", proof=late)
    assert (reason, 500 < seconds <= 576) == ("all", True)  # 150 a day: one in 576 seconds
    for n in range(20):
        await ask(codes, f"known {n}", number(1000 + n), device=devices[n])
    assert (await refused(codes, "known 20", number(1020), device=devices[20]))[0] == "all"
    # Who waited has a part, too; and the proof that came too late is still good.
    token = str((await needed(codes, "waits", number(61), "203.0.113.9")).members["wait_token"])
    await move_clock(db, seconds=90)
    await ask(codes, "waits", number(61), "203.0.113.9", proof=token)
    await move_clock(db, seconds=seconds - 90)
    await ask(codes, "late", number(60), "203.0.113.8", proof=late)


async def test_no_24_hours_send_more_than_the_budget(db: Database) -> None:
    """Everything is taken, from every part, as soon as it is there, for three days."""
    await db.execute("CREATE TABLE public.sent (at timestamptz)")
    await db.execute("""
        DO $$ DECLARE at timestamptz; part text; BEGIN
            FOR minute IN 0..3 * 24 * 60 LOOP
                at := timestamptz '2030-01-01' + make_interval(mins => minute);
                FOREACH part IN ARRAY '{known,strangers,waiting}'::text[] LOOP
                    WHILE accounts.sms_left(part, 320, at) >= 1 LOOP
                        PERFORM accounts.take_sms(part, 320, at);
                        INSERT INTO public.sent VALUES (at);
                    END LOOP;
                END LOOP;
            END LOOP;
        END $$""")
    most, minutes = await db.fetch_row("""
        SELECT max(within), count(*) FILTER (WHERE at > timestamptz '2030-01-02') / (2 * 240.0) FROM (
            SELECT at, count(*) OVER (ORDER BY at RANGE BETWEEN CURRENT ROW AND interval '23:59:59' FOLLOWING) AS within
            FROM public.sent) AS windows""")  # type: ignore[misc]
    assert 316 <= most <= 320
    assert 0.98 <= minutes <= 1  # of what comes back in a day


async def test_the_desk_tells_a_code_to_the_person_who_stands_there(
    codes: Codes, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        issued = await codes.issue_at_desk("098765 43210", Staff(7))
    assert issued.expires_at - await product_now(db) <= timedelta(minutes=15)
    assert "staff:7 issued a sign-in code" in caplog.text
    assert PHONE[-10:] not in caplog.text
    assert issued.code not in caplog.text
    for wrong in ("", "123456", "0" * 12, issued.code[:-1], f"{issued.code}A"):
        with pytest.raises(BadInput):
            await codes.verify_desk_code(wrong, "a", "")
    with pytest.raises(CodeOver):
        await codes.verify_desk_code("A" * 12, "a", "")
    signed_in = await codes.verify_desk_code(f" {issued.code.lower()} ", "a", "Firefox")
    assert await patient_of_token(db, signed_in.token) == signed_in.patient_id
    assert await db.fetch_value("SELECT phone FROM accounts.patient") == PHONE
    assert await codes.verify_desk_code(issued.code, "a", "") == signed_in  # a repeat
    with pytest.raises(CodeOver):
        await codes.verify_desk_code(issued.code, "b", "")
    assert await db.fetch_value("SELECT issued_by FROM accounts.challenge") == "staff:7"
    assert (await ask(codes, "by text", device=signed_in.device)).code
    late = await codes.issue_at_desk(PHONE, Staff(7))
    await move_clock(db, minutes=15)
    with pytest.raises(CodeOver):
        await codes.verify_desk_code(late.code, "c", "")
