"""The checker of fail-overs finds each thing that it is there for, and nothing where nothing is wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from healthplus.waiting.receipts import Entry, hash_of
from healthplus_bench.promises import Join
from tests.ha.verdict import Ack, Found, Row, Told, judge

START = datetime(2031, 1, 6, 9, tzinfo=UTC)
LATER = START + timedelta(minutes=5)


def chain(*steps: tuple[str, int]) -> list[Entry]:
    """Return the entries of a queue for one slot."""
    entries: list[Entry] = []
    for number, (kind, ticket) in enumerate(steps, start=1):
        entry = Entry(
            entry=number, at=f"{START.isoformat()}", kind=kind, ticket=ticket, clinic_id=1, from_=START.isoformat(),
            to=LATER.isoformat(), slots=1, hash="",
        )  # fmt: skip
        previous = entries[-1].hash if entries else ""
        entries.append(Entry(**{**_fields(entry), "hash": hash_of(1, previous, entry)}))
    return entries


def _fields(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


FAIR = chain(("joined", 1), ("joined", 2), ("offered", 1), ("accepted", 1), ("offered", 2))
UNFAIR = chain(("joined", 1), ("joined", 2), ("offered", 2), ("accepted", 2), ("offered", 1))
HELD = Ack("reserved", 5, START, "a", "reserved-1", 0.0, 0.1)
BOOKED = Ack("booked", 5, START, "a", "booked-1", 0.2, 0.3)
OTHER = Ack("booked", 5, LATER, "b", "booked-2", 0.2, 0.3)
FIRST, SECOND = Join(1, "t1", 1, 0.0, 0.1), Join(1, "t2", 2, 0.2, 0.3)
TOLD = Told([HELD, BOOKED, OTHER], [FIRST, SECOND], [(1, "waiting", "t1")])
FOUND = Found(
    {"a": Row(5, START, "booked", 1), "b": Row(5, LATER, "booked", 1)},
    {"t1": (1, 1), "t2": (1, 2)},
    frozenset({(1, "waiting", "t1"), (1, "waiting", "t2")}),
    {1: FAIR},
)


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert judge(TOLD, FOUND).is_clean


@pytest.mark.parametrize(
    "found",
    [
        replace(FOUND, bookings={"b": FOUND.bookings["b"]}),
        replace(FOUND, bookings={**FOUND.bookings, "a": Row(5, START, "expired", 1)}),
        replace(FOUND, bookings={**FOUND.bookings, "a": Row(6, START, "booked", 1)}),
        replace(FOUND, bookings={**FOUND.bookings, "a": Row(5, LATER, "booked", 2)}),
        replace(FOUND, events=frozenset()),
        replace(FOUND, tickets={"t1": (1, 1)}),
    ],
    ids=["gone", "not booked", "with another", "at another time", "no event", "no ticket"],
)
def test_what_was_lost_is_found(found: Found) -> None:
    assert judge(TOLD, found).lost


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (replace(TOLD, acks=[*TOLD.acks, replace(OTHER, start=START)]), FOUND),
        (replace(TOLD, acks=[*TOLD.acks, replace(OTHER, key="booked-1")]), FOUND),
        (TOLD, replace(FOUND, bookings={**FOUND.bookings, "c": Row(5, START, "reserved", 1)})),
    ],
    ids=["one time for two", "two answers for one request", "two rows for one seat"],
)
def test_a_double_is_found(told: Told, found: Found) -> None:
    verdict = judge(told, found)
    assert verdict.doubles


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (replace(TOLD, joins=[replace(FIRST, number=2), replace(SECOND, number=1)]), FOUND),
        (TOLD, replace(FOUND, tickets={"t1": (1, 2), "t2": (1, 1)})),
        (TOLD, replace(FOUND, chains={1: UNFAIR})),
        (TOLD, replace(FOUND, chains={1: FAIR[:2] + FAIR[3:]})),
    ],
    ids=["told in another order", "numbers changed", "served in another order", "an entry is missing"],
)
def test_an_inversion_is_found(told: Told, found: Found) -> None:
    assert judge(told, found).inversions
