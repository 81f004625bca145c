"""Which places an import closes or opens again, and doing so.

They are closed after the import itself, each in a transaction of its own: thousands of books must not be locked at
once. What was not reached is closed by the next import of the source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from healthplus.accounts.actors import System
from healthplus.database import Database, Record, Transaction, load
from healthplus.imports.entries import Entry
from healthplus.imports.summary import Options, Places, Summary

_queries = load(Path(__file__).with_name("places.sql"))


class Place(NamedTuple):
    """A clinic, a provider or, with both ids, a provider at a clinic; `name` in words."""

    clinic_id: int | None
    provider_id: int | None
    name: str


@dataclass
class Plan:
    """What is to be closed and opened; `gone`, the posts that `source` has no more, and `of_gone`, which places go."""

    source: str | None = None
    gone: list[Record] = field(default_factory=list)
    of_gone: list[Place] = field(default_factory=list)
    closed: list[Place] = field(default_factory=list)
    opened: list[Place] = field(default_factory=list)


async def sources_note(tx: Transaction, options: Options) -> str | None:
    """Return why nothing can be gone from a source, where nothing was imported from it before."""
    sources = await tx.fetch(_queries.sources, options.complete)
    if options.complete is None or any(row["is_this"] for row in sources):
        return None
    known = ", ".join(f"{row['source']} ({row['posts']} rows)" for row in sources) or "none"
    none_before = f"Nothing was imported from {options.complete!r} before, so nothing can be gone from it."
    return f"{none_before} Known sources: {known}."


async def plan(
    tx: Transaction, entries: Sequence[Entry], stored: Sequence[Entry], options: Options, summary: Summary
) -> Plan:
    """Return what a file's `entries`, of which some are `stored`, close and open, and note it in the summary."""
    places = summary.places
    result = Plan(options.complete)
    closed = await tx.fetch(_queries.named_posts, *_posts(one for one in stored if one.is_open is False))
    result.closed = await _closings(tx, closed)
    opened = [one for one in stored if one.is_open]
    result.opened = await _places(tx, _queries.openings, *_posts(opened), None)
    if options.complete is not None:
        again = [one for one in stored if one.is_open is None]
        result.opened += await _places(tx, _queries.openings, *_posts(again), options.complete)
        named = [*{entry.post for entry in entries} | places.named]
        rows = await tx.fetch(_queries.gone, options.complete, [one for one, _ in named], [one for _, one in named])
        kept = [row for row in rows if row["still_in"]]
        places.kept = [f"{row['provider']} at {row['clinic']} (in {row['still_in']})" for row in kept]
        result.gone = [row for row in rows if not row["still_in"]]
        result.of_gone = [one for one in await _closings(tx, closed + result.gone) if one not in result.closed]
    if result.gone and places.unnamed:
        lines = ", ".join(map(str, places.unnamed[:5]))
        places.note = f"Rejected rows do not say whom they are about (line {lines}): until they do, nothing is closed."
    elif result.gone and summary.is_mostly_rejected:
        places.note = "Most rows were rejected: until they are mended, nothing is closed."
    places.gone = [one.name for one in result.of_gone]
    places.closed = [one.name for one in result.closed]
    places.opened = [one.name for one in result.opened]
    places.are_closed = bool(options.yes and not places.note and result.of_gone)
    return result


async def carry_out(db: Database, wanted: Plan, places: Places) -> None:
    """Close and open what a plan says, and count which appointments that concerns."""
    reason = "import" if wanted.source is None else f"import of {wanted.source}"
    going = wanted.of_gone if places.are_closed else []
    for those, closes in ((wanted.opened, False), (wanted.closed, True), (going, True)):
        for one in those:
            db.space.require_for_bookings()
            row = await db.fetch_row(
                _queries.set_place_closed, one.clinic_id, one.provider_id, closes, str(System("operator")), reason
            )
            assert row is not None
            places.flagged += row["flagged"]
            places.stands += row["stands"]
    if places.are_closed:
        await db.execute(_queries.note_gone, wanted.source, *_ids(wanted.gone))


async def _closings(tx: Transaction, posts: Sequence[Record]) -> list[Place]:
    return await _places(tx, _queries.closings, *_ids(posts))


async def _places(tx: Transaction, sql: str, *args: object) -> list[Place]:
    return [Place(*row) for row in await tx.fetch(sql, *args)]


def _posts(entries: Iterable[Entry]) -> tuple[list[str], list[str]]:
    posts = [entry.post for entry in entries]
    return [provider for provider, _ in posts], [clinic for _, clinic in posts]


def _ids(posts: Iterable[Record]) -> tuple[list[int], list[int]]:
    rows = list(posts)
    return [row["provider_id"] for row in rows], [row["clinic_id"] for row in rows]
