"""Find hospitals that a file has by another name than before: without an identifier they would be there twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

from healthplus.database import Transaction, load
from healthplus.imports.entries import Clinic, Entry
from healthplus.imports.summary import Options, Remark, Summary

_queries = load(Path(__file__).with_name("places.sql"))

_MADE_OF_NAMES = "nhd:"
"""How identifiers begin that are made of what rows say: a row with another name has another."""
_ALIKE = 0.75
_COMMON = frozenset(
    {"and", "care", "center", "centre", "clinic", "clinics", "general", "health", "healthcare", "home", "hospital"}
    | {"hospitals", "institute", "ltd", "maternity", "medical", "multi", "multispeciality", "multispecialty", "nursing"}
    | {"of", "private", "pvt", "research", "speciality", "specialty", "super", "superspeciality", "superspecialty"}
    | {"surgical", "the", "trust"}
)
"""Words that many hospitals have in their names."""


async def without_renamed(tx: Transaction, entries: Sequence[Entry], options: Options, summary: Summary) -> list[Entry]:
    """Return entries without those that seem to be stored clinics which have another name now.

    With `yes` they are the same from now on, and stay; with `new_places` they are others. Else they are rejected, with
    both named, as only who imports them can know.
    """
    made = {one.clinic.identifier: one for one in entries if one.clinic.identifier.startswith(_MADE_OF_NAMES)}
    if not made or options.new_places:
        return list(entries)
    located = [
        {name: getattr(one.clinic, name) for name in ("identifier", "postal_code", "latitude", "longitude")}
        for one in made.values()
        if one.clinic.postal_code and one.clinic.latitude is not None
    ]
    near = [
        (_likeness(made[row["identifier"]].clinic, row["name"]), row["identifier"], row["stored"], row["name"])
        for row in await tx.fetch(_queries.near_by, located, list(made), _MADE_OF_NAMES)
    ]
    # The most alike first: each is at most one of the others.
    same: dict[str, tuple[str, str]] = {}
    for likeness, identifier, stored, name in sorted(near, reverse=True):
        if likeness >= _ALIKE and identifier not in same and stored not in {one for one, _ in same.values()}:
            same[identifier] = stored, name
    if options.yes:
        await tx.execute(_queries.rename, [stored for stored, _ in same.values()], list(same))
        summary.places.renamed = [f"{name} is now {made[one].clinic.name}" for one, (_, name) in same.items()]
        return list(entries)
    for entry in entries:
        if found := same.get(entry.clinic.identifier):
            reason = f"this seems to be {found[1]!r}, renamed: import it with --yes if it is, with --new-places if not"
            summary.rejected.append(Remark(entry.line, reason))
            # Neither is it there yet, nor is the other gone.
            summary.places.named.add((found[0], found[0]))
    return [entry for entry in entries if entry.clinic.identifier not in same]


def _likeness(clinic: Clinic, name: str) -> float:
    """Return how much a clinic's name is like another, from 0 to 1, by the words that not many have."""
    one, other = (_own_words(text) for text in (clinic.name, name))
    if not one or not other:
        return 0
    if set(one) <= set(other) or set(other) <= set(one):
        return 1
    return SequenceMatcher(None, " ".join(one), " ".join(other)).ratio()


def _own_words(name: str) -> list[str]:
    return sorted(word for word in re.findall(r"\w+", name.casefold()) if word not in _COMMON)
