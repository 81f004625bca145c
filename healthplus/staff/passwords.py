"""Passwords of staff: how they are kept, and which are too weak."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeAlias, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from zxcvbn import zxcvbn
from zxcvbn.matching import L33T_TABLE, enumerate_l33t_subs, relevant_l33t_subtable

from healthplus.errors import TooManyGuesses
from healthplus.idle import idle

LENGTH_MIN = 15
LENGTH_MIN_WITH_FACTOR = 8
LENGTH_MAX = 256
_MEASURED_MAX = 72
"""What is longer takes zxcvbn seconds, and is strong by then."""
_READINGS_MAX = 12
"""zxcvbn reads a password once for each way in which its digits and signs may stand for letters: hundreds, for some."""
_SCORES = {False: 3, True: 2}
"""What zxcvbn must say at least: 10^8 guesses, or 10^6 beside a second factor."""

HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
HASHING_MAX = 4
"""So many at once in a process: each takes 64 MiB."""
BEYOND_WAITING_MAX = 20
"""So many wait for the one place of those from whose address, or network, too many guesses came."""

_T = TypeVar("_T")

Weakness: TypeAlias = Literal["short", "long", "own_words", "common"]


def normal(password: str) -> str:
    """Return a password as it is hashed: keyboards write the same letter in several ways."""
    return unicodedata.normalize("NFKC", password)


def is_long(password: str) -> bool:
    """Return whether a password may be used without a second factor."""
    return len(normal(password)) >= LENGTH_MIN


def weakness(password: str, own_words: Iterable[str], *, has_factor: bool) -> Weakness | None:
    """Return what is wrong with a password; None where nothing is. It takes some ten milliseconds of a core."""
    password = normal(password)
    if len(password) < (LENGTH_MIN_WITH_FACTOR if has_factor else LENGTH_MIN):
        return "short"
    if len(password) > LENGTH_MAX:
        return "long"
    least = _SCORES[has_factor]
    if _score(password) < least:
        return "common"
    words = {"healthplus", *own_words}
    parts = {part for word in words for part in (word, *re.split(r"[\W_]+", word)) if len(part) > 2}
    rest = password.casefold()
    for part in sorted(parts, key=len, reverse=True):
        rest = rest.replace(part.casefold(), "")
    rest, whole = (re.sub(r"[\W_]+", "", text) for text in (rest, password.casefold()))
    # What is left must do by itself, nearly: names of one's own are guessed first.
    if rest != whole and (not rest or _score(rest) < least - 1):
        return "own_words"
    return None


def _score(password: str) -> int:
    score: int = zxcvbn(_with_few_readings(password[:_MEASURED_MAX]))["score"]
    return score


def _with_few_readings(password: str) -> str:
    """Return a password in which signs that could be read in too many ways are the letters they mostly stand for."""
    kept = ""
    for sign in dict.fromkeys(password):
        letter = next((letter for letter, signs in L33T_TABLE.items() if sign in signs), None)
        if letter is None:
            continue
        if len(enumerate_l33t_subs(relevant_l33t_subtable(kept + sign, L33T_TABLE))) <= _READINGS_MAX:
            kept += sign
        else:
            password = password.replace(sign, letter)
    return password


class Passwords:
    """Hashes and checks, a few at once, in threads of its own; who waits keeps nobody else from working."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(HASHING_MAX)
        # One is left to those whose browser is known, however many strangers come.
        self._places_of_strangers = asyncio.Semaphore(HASHING_MAX - 1)
        self._place_beyond = asyncio.Semaphore(1)
        self._waiting_beyond = 0
        self._hashing = ThreadPoolExecutor(HASHING_MAX, "passwords")
        # One at a time: it is work of Python itself, which keeps requests waiting.
        self._measuring = ThreadPoolExecutor(1, "weak-passwords")

    async def hash(self, password: str) -> str:
        """Return what to store of a password, with its salt and costs; whether it is a good one is not looked at."""
        async with idle(), self._places:
            return await _in(self._hashing, lambda: HASHER.hash(normal(password)))

    async def verify(
        self, password_hash: str | None, password: str, *, is_known: bool, is_beyond: bool = False
    ) -> bool:
        """Return whether a password is the right one. It takes as long where there is none to compare it to.

        `is_beyond`: so many guesses came from there that they share one place. Raises TooManyGuesses where many wait.
        """
        async with idle():
            if is_known:
                return await self._verify(password_hash, password)
            if not is_beyond:
                return await self._verify_strange(password_hash, password)
            if self._waiting_beyond >= BEYOND_WAITING_MAX:
                raise TooManyGuesses(retry_after=BEYOND_WAITING_MAX)
            self._waiting_beyond += 1
            try:
                async with self._place_beyond:
                    return await self._verify_strange(password_hash, password)
            finally:
                self._waiting_beyond -= 1

    async def _verify_strange(self, password_hash: str | None, password: str) -> bool:
        async with self._places_of_strangers:
            return await self._verify(password_hash, password)

    async def _verify(self, password_hash: str | None, password: str) -> bool:
        async with self._places:
            kept = password_hash or _hash_of_nothing()
            return await _in(self._hashing, lambda: _fits(kept, normal(password)[:LENGTH_MAX]))

    async def weakness(self, password: str, own_words: Iterable[str], *, has_factor: bool) -> Weakness | None:
        async with idle():
            return await _in(self._measuring, lambda: weakness(password, own_words, has_factor=has_factor))


async def _in(threads: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(threads, work)


def _fits(password_hash: str, password: str) -> bool:
    try:
        return HASHER.verify(password_hash, password)
    except VerificationError:
        return False


def _hash_of_nothing() -> str:
    """Return a hash that no password has, and that takes as long to check as any."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (HASHER.salt_len, HASHER.hash_len)
    )
    costs = f"m={HASHER.memory_cost},t={HASHER.time_cost},p={HASHER.parallelism}"
    return f"$argon2id$v=19${costs}${salt}${digest}"
