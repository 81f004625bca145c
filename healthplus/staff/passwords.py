"""Passwords of staff: how they are kept, and which are too weak."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import unicodedata
from collections.abc import Iterable
from typing import Literal, TypeAlias

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from zxcvbn import zxcvbn

from healthplus.idle import idle

LENGTH_MIN = 15
LENGTH_MIN_WITH_FACTOR = 8
LENGTH_MAX = 256
_MEASURED_MAX = 72
"""What is longer takes zxcvbn seconds, and is strong by then."""
_SCORES = {False: 3, True: 2}
"""What zxcvbn must say at least: 10^8 guesses, or 10^6 beside a second factor."""

HASHER = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
HASHING_MAX = 4
"""So many at once in a process: each takes 64 MiB."""

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
    if zxcvbn(password[:_MEASURED_MAX])["score"] < least:
        return "common"
    words = {"healthplus", *own_words}
    parts = {part for word in words for part in (word, *re.split(r"[\W_]+", word)) if len(part) > 2}
    rest = password.casefold()
    for part in sorted(parts, key=len, reverse=True):
        rest = rest.replace(part.casefold(), "")
    rest, whole = (re.sub(r"[\W_]+", "", text) for text in (rest, password.casefold()))
    # What is left must do by itself, nearly: names of one's own are guessed first.
    if rest != whole and (not rest or zxcvbn(rest[:_MEASURED_MAX])["score"] < least - 1):
        return "own_words"
    return None


class Passwords:
    """Hashes and checks, a few at once, in threads; who waits keeps nobody else from working."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(HASHING_MAX)
        # One is left to those whose browser is known, however many strangers come.
        self._places_of_strangers = asyncio.Semaphore(HASHING_MAX - 1)

    async def hash(self, password: str) -> str:
        """Return what to store of a password, with its salt and costs; whether it is a good one is not looked at."""
        async with idle(), self._places:
            return await asyncio.to_thread(HASHER.hash, normal(password))

    async def verify(self, password_hash: str | None, password: str, *, is_known: bool) -> bool:
        """Return whether a password is the right one. It takes as long where there is none to compare it to."""
        async with idle():
            if is_known:
                return await self._verify(password_hash, password)
            async with self._places_of_strangers:
                return await self._verify(password_hash, password)

    async def _verify(self, password_hash: str | None, password: str) -> bool:
        async with self._places:
            return await asyncio.to_thread(_fits, password_hash or _hash_of_nothing(), normal(password)[:LENGTH_MAX])

    async def weakness(self, password: str, own_words: Iterable[str], *, has_factor: bool) -> Weakness | None:
        async with idle():
            return await asyncio.to_thread(weakness, password, own_words, has_factor=has_factor)


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
