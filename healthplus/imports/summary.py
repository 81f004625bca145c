"""What an import is asked to do, and what it did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from healthplus.country import HERE
from healthplus.imports.mappings import ColumnMap


class Remark(NamedTuple):
    """A remark on the row that starts on this line of the file."""

    line: int
    text: str


@dataclass
class Places:
    """Places that an import closes or opens again, each in words.

    `gone` are those that a source has no more, closed if `are_closed`; `kept` those of them that another source has.
    `closed` and `opened` are those of which the file says so, or which the source has again, `renamed` those that are
    known by another name now. So many appointments are `flagged`, to be rebooked, or stand again. `note` says why
    nothing can be gone, or is closed for it. `named` are the posts that rejected rows name, which are not gone, and
    `unnamed` the lines of those that name none.
    """

    gone: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    renamed: list[str] = field(default_factory=list)
    are_closed: bool = False
    flagged: int = 0
    stands: int = 0
    note: str | None = None
    named: set[tuple[str, str]] = field(default_factory=set)
    unnamed: list[int] = field(default_factory=list)


@dataclass
class Summary:
    """What an import did or, if not `stored`, would have done.

    Each of the `rows` is accepted, or among `duplicates`, or among `rejected`, whose rows are also in the file
    `rejected_file`, or `unwritten` says why not. `gaps` are faults of accepted rows that were tolerated,
    `missing_photos` pictures that could not be had. `unsure` says why nothing is stored without `yes`. `added`,
    `updated` and `unchanged` count cities, clinics, providers, posts (a provider at a clinic), photos, clinics with
    other pictures, specialities, provider_specialities, service_types, services and shifts; or postal_codes.
    `unknown_specialities` are those that search does not know, with how many rows have them and what they may mean.
    `places` are those that close or open.
    """

    format: str
    encoding: str
    rows: int = 0
    accepted: int = 0
    stored: bool = False
    duplicates: list[Remark] = field(default_factory=list)
    rejected: list[Remark] = field(default_factory=list)
    rejected_file: Path | None = None
    unwritten: str | None = None
    gaps: list[Remark] = field(default_factory=list)
    missing_photos: list[Remark] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)
    unsure: str | None = None
    added: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    unknown_specialities: list[tuple[str, int, str | None]] = field(default_factory=list)
    places: Places = field(default_factory=Places)

    @property
    def is_mostly_rejected(self) -> bool:
        """Whether more than half of the rows are rejected: then it is the file that is wrong, or read wrongly."""
        return len(self.rejected) * 2 > self.rows


@dataclass(frozen=True)
class Options:
    """How to import: `dry_run` does everything and rolls it back; `strict` stores nothing if any row is rejected.

    `strict_cells` rejects a row for a fault in an optional cell, too. `time_zone` is used for cities that are not
    stored yet. `photos_again`: fetch those again that were fetched before. `columns` say what the file is and what its
    columns mean, `encoding` how its text is encoded. `source` is where the file is from, by default its name, and
    `complete` the same where the file is all of it: what it has no more is closed. `yes`: also do that, move or
    overwrite much of what is stored, and take places that look renamed for the same; `new_places`: for others.
    """

    dry_run: bool = False
    strict: bool = False
    time_zone: str = HERE.time_zone
    photos_again: bool = False
    strict_cells: bool = False
    columns: ColumnMap = field(default_factory=ColumnMap)
    encoding: str | None = None
    yes: bool = False
    source: str | None = None
    complete: str | None = None
    new_places: bool = False


DEFAULTS = Options()
"""What the command does where nothing is said."""
