"""Which passwords are refused, and how they are kept."""

from __future__ import annotations

import asyncio
import random
import string
import time

import pytest
from zxcvbn import matching

from healthplus.errors import TooManyGuesses
from healthplus.staff import passwords
from healthplus.staff.passwords import Passwords, weakness

OWN = ["asha.rao", "Asha Rao", "Lakeview Clinic"]


@pytest.mark.parametrize(
    ("password", "has_factor", "wrong"),
    [
        ("monsoon kettle giraffe", False, None),
        ("मानसून केतली जिराफ़ नाव", False, None),
        ("kx8!vqpz", True, None),
        ("kx8!vqpz", False, "short"),
        ("kx8!vqp", True, "short"),
        ("kx8!vqpz7ab,wM", False, "short"),
        ("x" * 257, False, "long"),
        ("password12345678", False, "common"),
        ("aaaaaaaaaaaaaaaaaaaa", False, "common"),
        ("qwertyuiopasdfghjkl", False, "common"),
        ("password1", True, "common"),
        ("HealthPlus-HealthPlus", False, "own_words"),
        ("healthplus lakeview asha", False, "own_words"),
        ("Lakeview-Clinic-2026-Asha", False, "own_words"),
        ("asharao!lakeview", True, "own_words"),
    ],
)
def test_what_is_too_weak(password: str, has_factor: bool, wrong: str | None) -> None:
    assert weakness(password, OWN, has_factor=has_factor) == wrong


def test_a_long_password_is_measured_quickly() -> None:
    began = time.monotonic()
    weakness("monsoon kettle giraffe " * 11, OWN, has_factor=False)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "password",
    [
        "4@8({[<3691!|7+0$5%2" * 4,
        "4@8({[<3691!|7+0$5%2",
        "".join(random.Random(2).choices(string.ascii_letters + string.digits + string.punctuation, k=64)),
    ],
)
def test_signs_that_may_stand_for_many_letters_are_measured_quickly(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    """By the readings of a dictionary's words in it, not by the clock."""
    look = matching.dictionary_match
    readings = []

    def note(text: str, *args: object, **more: object) -> object:
        readings.append(text)
        return look(text, *args, **more)

    monkeypatch.setattr(matching, "dictionary_match", note)
    weakness(password, OWN, has_factor=False)
    assert 2 < len(readings) < 60


def test_what_signs_stand_for_is_seen() -> None:
    assert weakness("P@$$w0rd!P@$$w0rd!", OWN, has_factor=True) == "common"


async def test_one_password_is_measured_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: list[str] = []
    most = 0

    def slow(password: str, own_words: object, *, has_factor: bool) -> None:
        nonlocal most
        at_work.append(password)
        most = max(most, len(at_work))
        time.sleep(0.02)
        at_work.remove(password)

    monkeypatch.setattr(passwords, "weakness", slow)
    measuring = Passwords()
    await asyncio.gather(*(measuring.weakness(f"one {n}", OWN, has_factor=False) for n in range(6)))
    assert most == 1


async def test_the_right_one_fits_however_its_letters_are_written() -> None:
    kept = await Passwords().hash("caf\u00e9 kettle giraffe")
    assert kept.startswith("$argon2id$")
    for password, fits in (("cafe\u0301 kettle giraffe", True), ("cafe kettle giraffe", False), ("", False)):
        assert await Passwords().verify(kept, password, is_known=False) == fits
    assert not await Passwords().verify(None, "caf\u00e9 kettle giraffe", is_known=False)


def test_they_cost_what_they_should() -> None:
    from healthplus.staff import passwords as module  # noqa: PLC0415 - the fixture has replaced what it makes

    source = module.__loader__.get_source(module.__name__)  # type: ignore[union-attr]
    assert "PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)" in source


async def test_a_few_at_once_and_one_for_those_who_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: list[str] = []
    most = 0
    go_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(kept: str, password: str) -> bool:
        nonlocal most
        at_work.append(password)
        most = max(most, len(at_work))
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(20)
        at_work.remove(password)
        return True

    monkeypatch.setattr(passwords, "_fits", slow)
    checks = Passwords()
    strangers = [asyncio.create_task(checks.verify(None, f"stranger {n}", is_known=False)) for n in range(10)]
    await asyncio.sleep(0.2)
    assert len(at_work) == passwords.HASHING_MAX - 1
    known = [asyncio.create_task(checks.verify(None, f"known {n}", is_known=True)) for n in range(3)]
    await asyncio.sleep(0.2)
    assert len(at_work) == passwords.HASHING_MAX
    assert [name for name in at_work if name.startswith("known")] == ["known 0"]
    go_on.set()
    assert all(await asyncio.gather(*strangers, *known))
    assert most == passwords.HASHING_MAX


async def test_those_beyond_share_one_place_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work: list[str] = []
    go_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(kept: str, password: str) -> bool:
        at_work.append(password)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(20)
        return True

    monkeypatch.setattr(passwords, "_fits", slow)
    checks = Passwords()
    beyond = [
        asyncio.create_task(checks.verify(None, f"beyond {n}", is_known=False, is_beyond=True))
        for n in range(passwords.BEYOND_WAITING_MAX)
    ]
    await asyncio.sleep(0.2)
    with pytest.raises(TooManyGuesses):
        await checks.verify(None, "one too many", is_known=False, is_beyond=True)
    stranger = asyncio.create_task(checks.verify(None, "stranger", is_known=False))
    await asyncio.sleep(0.2)
    assert at_work == ["beyond 0", "stranger"]
    go_on.set()
    assert all(await asyncio.gather(*beyond, stranger))
    assert await checks.verify(None, "later", is_known=False, is_beyond=True)
