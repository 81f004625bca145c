"""Receipts of a session: check that its record is unbroken, and that each call was of whom the rule has next.

The record is a chain of entries (reception/functions/chain.sql), with tokens and nobody's name. This module knows
nothing of the database that wrote it: it plays the session by the published rule (docs/decisions/0063-reception.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec

LATE = timedelta(minutes=15)
BETWEEN_CALLS = timedelta(minutes=2)
CALLS_MAX = 3


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one token. Instants are texts, as they were hashed.

    `booked_at` and `come_at`, of an arrival: the time that was booked, and a later one to which they were told to come.
    `every`, of a call: after how many of the booked in a row one of the line of tokens is called.
    """

    entry: int
    at: str
    kind: Annotated[str, msgspec.Meta(pattern="^[a-z_]{1,30}$")]
    token: int
    booked_at: str | None = None
    come_at: str | None = None
    every: int | None = None
    hash: str


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A session's whole chain; `letter` is what its tokens begin with."""

    provider_id: int
    session_id: str
    letter: str | None
    entries: list[Entry]


class Fault(NamedTuple):
    """What is wrong, and at which entry it shows."""

    entry: int
    text: str


@dataclass
class _Patient:
    """Where a token stands."""

    token: int
    booked_at: datetime | None
    due_at: datetime | None
    arrived_at: datetime
    state: str = "here"
    calls: list[datetime] = field(default_factory=list)
    called_from: str | None = None
    before: _Patient | None = None
    """What an undo of the last act brings back; None: the arrival was the last."""

    @property
    def line(self) -> str:
        if len(self.calls) >= CALLS_MAX:
            return "end"
        return "token" if self.due_at is None or self.arrived_at > self.due_at + LATE else "booked"


_STATES = {"called": "called", "entered": "in_room", "done": "done", "left": "left", "corrected": "corrected"}
_FROM = {
    "called": ("here", "called"),
    "entered": ("called",),
    "done": ("called", "in_room"),
    "left": ("here", "called", "in_room"),
    "corrected": ("here", "called", "in_room", "left"),
}


class Verification:
    """Reads a session's chain, entry by entry, and collects its faults.

    1. Entries are numbered without gaps, and each has the hash that follows from it and the entry before.
    2. Tokens are given in the order of their numbers, and each takes only steps that a token can take.
    3. Each call is of whom the rule has next at that moment.
    """

    def __init__(self, provider_id: int, session_id: str) -> None:
        self.faults: list[Fault] = []
        self.entry, self.hash = 0, ""
        self._whose = provider_id, session_id
        self._patients: dict[int, _Patient] = {}
        self._last_token = 0

    def read(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.entry != self.entry + 1:
                self._fault(entry, f"entry {self.entry + 1} is missing")
            if entry.hash != hash_of(*self._whose, self.hash, entry):
                self._fault(entry, "the hash is not that of this entry and the one before")
            self.entry, self.hash = entry.entry, entry.hash
            self._step(entry)

    def _step(self, entry: Entry) -> None:
        patient = self._patients.get(entry.token)
        at = datetime.fromisoformat(entry.at)
        if entry.kind == "arrived":
            self._arrive(entry, at)
        elif patient is None:
            self._fault(entry, f"token {entry.token} was never given, or was taken back")
        elif entry.kind == "taken_back":
            if patient.before is None:
                del self._patients[entry.token]
            else:
                self._patients[entry.token] = patient.before
        elif entry.kind not in _FROM or patient.state not in _FROM[entry.kind]:
            self._fault(entry, f"token {entry.token} cannot be {entry.kind}: it is {patient.state}")
        else:
            calls = patient.calls
            if entry.kind == "called":
                self._require_next(entry, at)
                calls = [*calls, at]
            self._patients[entry.token] = replace(
                patient,
                state=_STATES[entry.kind],
                calls=calls,
                called_from=patient.called_from or (patient.line if entry.kind == "called" else None),
                before=patient,
            )

    def _arrive(self, entry: Entry, at: datetime) -> None:
        # Tokens go on through the doctor's day, so that other sessions may have had those between.
        if entry.token <= self._last_token:
            self._fault(entry, f"token {entry.token} was given after token {self._last_token}")
        self._last_token = max(self._last_token, entry.token)
        booked_at = datetime.fromisoformat(entry.booked_at) if entry.booked_at else None
        due_at = datetime.fromisoformat(entry.come_at) if entry.come_at else booked_at
        self._patients[entry.token] = _Patient(entry.token, booked_at, due_at, at)

    def _require_next(self, entry: Entry, at: datetime) -> None:
        """Note a fault if a call was of somebody else than whom the rule has next."""
        waiting = [one for one in self._patients.values() if one.state in ("here", "called")]
        waiting = [one for one in waiting if not one.calls or one.calls[-1] <= at - BETWEEN_CALLS]
        booked, tokens, end = ([one for one in waiting if one.line == line] for line in ("booked", "token", "end"))
        firsts = [one for one in self._patients.values() if one.called_from is not None]
        last_token_call = max((one.calls[0] for one in firsts if one.called_from == "token"), default=None)
        in_row = sum(
            one.called_from == "booked" and (last_token_call is None or one.calls[0] > last_token_call)
            for one in firsts
        )
        if tokens and (in_row >= (entry.every or 1) or not booked):
            first = min(tokens, key=lambda one: one.token)
        elif booked:
            first = min(booked, key=lambda one: (one.booked_at or one.arrived_at, one.token))
        elif end:
            first = min(end, key=lambda one: (one.calls[-1], one.token))
        else:
            self._fault(entry, f"token {entry.token} was called less than two minutes after its last call")
            return
        if first.token != entry.token:
            self._fault(entry, f"token {entry.token} was called, and by the rule token {first.token} was next")

    def _fault(self, entry: Entry, text: str) -> None:
        self.faults.append(Fault(entry.entry, text))


def hash_of(provider_id: int, session_id: str, previous: str, entry: Entry) -> str:
    """Return the hash that an entry must have, after one whose hash is `previous` ("" before the first)."""
    parts = (
        *(provider_id, session_id, entry.entry, entry.at, entry.kind, entry.token),
        *(entry.booked_at or "", entry.come_at or "", "" if entry.every is None else entry.every),
    )
    return hashlib.sha256(bytes.fromhex(previous) + "|".join(map(str, parts)).encode()).hexdigest()
