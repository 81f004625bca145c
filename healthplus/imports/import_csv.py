"""Import a CSV file into the directory, the schedule and the books, in one transaction.

It stands above all the areas it writes to, which therefore need not know of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar
from zoneinfo import available_timezones

import msgspec

from healthplus.database import Database, PostgresError, Transaction, load
from healthplus.directory.service_text import Service
from healthplus.errors import BadInput, Conflict
from healthplus.imports import formats, tables
from healthplus.imports.cities import StoredCity, in_one_city
from healthplus.imports.csv_records import CsvFile
from healthplus.imports.formats import POSTAL_CODES, Clinic, Entry, Format, PostalCode, Provider
from healthplus.imports.photos import PhotoFetcher
from healthplus.names import service_slug
from healthplus.schedule.shift_text import Shift, first_overlap

_queries = load(Path(__file__).with_name("import.sql"))

_ROWS_A_STEP = 1000

_Row: TypeAlias = dict[str, object]
_Step: TypeAlias = tuple[str, list[_Row]]  # a table to put rows into, or a query to run for them
_T = TypeVar("_T")
_Progress: TypeAlias = Callable[[Sequence[_Step]], Iterable[_Step]]


class Remark(NamedTuple):
    """A remark on the row that starts on this line of the file."""

    line: int
    text: str


@dataclass
class Summary:
    """What an import did or, if not `stored`, would have done.

    Each of the `rows` is accepted, or among `duplicates`, or among `rejected`. `gaps` are faults of accepted rows that
    were tolerated, `missing_photos` pictures that could not be had. `added`, `updated` and `unchanged` count cities,
    clinics, providers, posts (a provider at a clinic), photos, clinics with other pictures, specialities,
    provider_specialities, service_types, services and shifts; or postal_codes.
    """

    format: str
    encoding: str
    rows: int = 0
    accepted: int = 0
    stored: bool = False
    duplicates: list[Remark] = field(default_factory=list)
    rejected: list[Remark] = field(default_factory=list)
    gaps: list[Remark] = field(default_factory=list)
    missing_photos: list[Remark] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)
    added: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Options:
    """How to import: `dry_run` does everything and rolls it back; `strict` stores nothing if any row is rejected.

    `time_zone` is used for cities that are not stored yet. `photos_again`: fetch those again that were fetched before.
    """

    dry_run: bool = False
    strict: bool = False
    time_zone: str = "Asia/Kolkata"
    photos_again: bool = False


class _RollBackError(Exception):
    pass


async def import_csv(
    db: Database,
    path: Path,
    options: Options = Options(),
    progress: _Progress = iter,
    photos: PhotoFetcher | None = None,
) -> Summary:
    """Store the good rows of a file as docs/import.md describes; importing it again changes nothing.

    `progress` may wrap the steps to show how far the import is. Raises BadInput when the file as a whole cannot be
    used, Conflict when schedules were changed meanwhile, DatabaseBusy when something else kept a row locked, DiskFull
    when there is no room; nothing is stored then.
    """
    if options.time_zone not in available_timezones():
        raise BadInput(f"{options.time_zone!r} is no time zone; Asia/Kolkata, for example, is one")
    entries, postal_codes, summary = read_file(path)
    # Before anything is locked: a server that is slow to answer must not keep others waiting.
    hashes, missing = await (photos or PhotoFetcher(db)).fetch(
        entries, store=not options.dry_run, again=options.photos_again
    )
    summary.missing_photos = [Remark(*one) for one in missing]
    try:
        async with db.transaction() as tx:
            await tx.execute(_queries.lock_imports)
            await tx.execute(_queries.wait_briefly)
            stored = [StoredCity(*row) for row in await tx.fetch(_queries.stored_cities)]
            entries, other_names = in_one_city(entries, stored)
            entries = await _fit_currencies(tx, entries, summary)
            entries, with_new_shifts = await _reject_misfits(tx, entries, summary)
            summary.accepted = len(entries) + len(postal_codes)
            summary.unchanged["shifts"] = _shift_count(entries) - _shift_count(with_new_shifts)
            summary.gaps += [Remark(entry.line, gap) for entry in entries for gap in entry.gaps]
            summary.rejected.sort()
            taken = {one.address: one.state for one in stored}
            rows = tables.rows_by_table(entries, with_new_shifts, taken, other_names, options.time_zone, hashes)
            rows["postal_codes"] = [msgspec.structs.asdict(code) for code in postal_codes]
            for step in progress(list(_steps(rows, with_new_shifts))):
                db.space.require_for_bookings()  # before each: a large file may itself fill the disk
                await _store(tx, step, summary)
            _roll_back_if(options.dry_run or (options.strict and bool(summary.rejected)))
            summary.stored = True
    except _RollBackError:
        summary.stored = False
    except PostgresError as error:
        if error.sqlstate == "23P01":  # exclusion_violation
            raise Conflict("schedules were changed during the import; nothing was stored, run it again") from error
        if error.constraint_name == "clinic_currency_is_kept":
            raise Conflict(f"{error} Nothing was stored.") from error
        raise
    return summary


def _shift_count(entries: Iterable[Entry]) -> int:
    return sum(len(entry.shifts) for entry in entries)


def _roll_back_if(condition: bool) -> None:
    if condition:
        raise _RollBackError


def read_file(path: Path) -> tuple[list[Entry], list[PostalCode], Summary]:
    """Return a file's entries or its postal codes, without looking at the database.

    Raises BadInput when none of the file can be used.
    """
    file = CsvFile(path)
    if formats.lists_postal_codes(file.columns):
        postal_codes, summary = _read(file, POSTAL_CODES, _SeenPostalCodes().add)
        return [], postal_codes, summary
    kind = formats.recognise(file.columns)
    entries, summary = _read(file, kind, _Seen(kind).add)
    return (entries if kind.has_identifiers else tables.without_far_coordinates(entries)), [], summary


def _read(file: CsvFile, kind: Format[_T], add: Callable[[_T], int | None]) -> tuple[list[_T], Summary]:
    known = kind.row.__struct_fields__
    summary = Summary(kind.name, file.encoding, ignored_columns=[c for c in file.columns if c not in known])
    accepted = []
    for record in file.records():
        summary.rows += 1
        try:
            row = formats.read_row(kind, record)
            if first := add(row):
                summary.duplicates.append(Remark(record.line, f"the same as line {first}"))
            else:
                accepted.append(row)
        except BadInput as problem:
            summary.rejected.append(Remark(record.line, str(problem)))
    return accepted, summary


class _SeenPostalCodes:
    def __init__(self) -> None:
        self._seen: dict[str, PostalCode] = {}

    def add(self, code: PostalCode) -> int | None:
        """Remember the row, or return the line of the one it duplicates; raises BadInput when it contradicts one."""
        first = self._seen.setdefault(code.postal_code, code)
        if (first.latitude, first.longitude) != (code.latitude, code.longitude):
            raise BadInput(f"line {first.line} says otherwise about {code.postal_code}")
        return None if first is code else first.line


class _Seen:
    """The rows accepted so far, by which duplicates and contradictions are found."""

    def __init__(self, kind: Format[Entry]) -> None:
        self._kind = kind
        self._posts: dict[tuple[str, str], Entry] = {}
        self._facts: dict[tuple[type, str], tuple[int, Provider | Clinic]] = {}
        self._shifts: dict[str, list[Shift]] = defaultdict(list)
        self._tests: dict[tuple[str, str], tuple[int, tuple[Service, str]]] = {}

    def add(self, entry: Entry) -> int | None:
        """Remember the row, or return the line of the one it duplicates; raises BadInput when it contradicts one."""
        post = (entry.provider.identifier, entry.clinic.identifier)
        if same := self._posts.get(post):
            if not self._kind.has_identifiers or _content(same) == _content(entry):
                return same.line
            raise BadInput(f"line {same.line} already says otherwise about this provider at this clinic")
        for facts in (entry.provider, entry.clinic):
            line, known = self._facts.get((type(facts), facts.identifier), (0, facts))
            if known != facts:
                different = [name for name in facts.__struct_fields__ if getattr(known, name) != getattr(facts, name)]
                raise BadInput(f"line {line} says otherwise about {facts.identifier!r}: {', '.join(different)}")
        tests = {
            (entry.provider.identifier, service_slug(t.name)): (
                entry.line,
                (msgspec.structs.replace(t, name=""), entry.currency),
            )
            for t in entry.tests
        }
        for (_, name), (_, test) in tests.items():
            line, known_test = self._tests.get((entry.provider.identifier, name), (0, test))
            if known_test != test:
                raise BadInput(f"line {line} says otherwise about the test {name!r}")
        shifts = self._shifts[entry.provider.identifier]
        if clash := first_overlap([*shifts, *entry.shifts]):
            raise BadInput(f"shifts: {clash[0]} and {clash[1]} of this provider overlap")
        shifts += entry.shifts
        for key, first in tests.items():
            self._tests.setdefault(key, first)
        self._posts[post] = entry
        for facts in (entry.provider, entry.clinic):
            self._facts.setdefault((type(facts), facts.identifier), (entry.line, facts))
        return None


def _content(entry: Entry) -> tuple[object, ...]:
    return tuple(getattr(entry, name) for name in Entry.__struct_fields__ if name not in ("line", "gaps"))


async def _fit_currencies(tx: Transaction, entries: list[Entry], summary: Summary) -> list[Entry]:
    """Reject rows in another currency than that of the stored clinic; return the rest.

    A row that names the currency may correct that of a clinic which has no fees yet.
    """
    priced = [entry for entry in entries if entry.clinic.currency or entry.fee_minor or entry.tests or entry.services]
    clinics = list({entry.clinic.identifier for entry in priced})
    stored = {row["identifier"]: row for row in await tx.fetch(_queries.stored_currencies, clinics)}
    rejected: set[int] = set()
    for entry in priced:
        clinic = stored.get(entry.clinic.identifier)
        if clinic and clinic["currency"] != entry.currency and (clinic["has_money"] or not entry.clinic.currency):
            rejected.add(entry.line)
            reason = f"{entry.currency}, but this clinic's amounts are in {clinic['currency']}"
            summary.rejected.append(Remark(entry.line, f"currency: {reason}"))
    return [entry for entry in entries if entry.line not in rejected]


async def _reject_misfits(tx: Transaction, entries: list[Entry], summary: Summary) -> tuple[list[Entry], list[Entry]]:
    """Reject rows whose shifts contradict those stored; return the others, and which of them have new shifts."""
    providers = list({entry.provider.identifier for entry in entries if entry.shifts})
    stored: dict[str, dict[str, set[Shift | None]]] = defaultdict(lambda: defaultdict(set))
    for row in await tx.fetch(_queries.stored_shifts, providers) if providers else ():
        shift = Shift(row["weekday"], row["starts"], row["ends"], row["slot_minutes"], row["seats"], row["slots_max"])
        # A shift that is valid for some time only differs from any that a file can state: None stands for that.
        stored[row["provider"]][row["clinic"]] |= {shift} if row["always"] else {shift, None}
    fitting, with_new_shifts = [], []
    for entry in entries:
        at = stored[entry.provider.identifier]
        here = at.get(entry.clinic.identifier, set())
        elsewhere = [s for clinic, shifts in at.items() if clinic != entry.clinic.identifier for s in shifts if s]
        if not entry.shifts or here == set(entry.shifts):
            fitting.append(entry)
        elif here:
            reason = "differ from the stored ones; an import only adds first shifts, change them in the schedule"
            summary.rejected.append(Remark(entry.line, f"shifts: {reason}"))
        elif clash := _first_clash(entry.shifts, elsewhere):
            reason = f"{clash[0]} overlaps {clash[1]}, which this provider has at another clinic"
            summary.rejected.append(Remark(entry.line, f"shifts: {reason}"))
        else:
            fitting.append(entry)
            with_new_shifts.append(entry)
    return fitting, with_new_shifts


def _first_clash(new: Iterable[Shift], stored: Sequence[Shift]) -> tuple[Shift, Shift] | None:
    # Stored shifts that are valid at different times may overlap, so each is compared with the new ones by itself.
    return next(((shift, other) for shift in new for other in stored if first_overlap((shift, other))), None)


async def _store(tx: Transaction, step: _Step, summary: Summary) -> None:
    table, rows = step
    if table in _queries:
        await tx.execute(_queries[table], *([[row["provider"] for row in rows]] if rows else []))
        return
    counts = await tx.fetch_row(_queries[f"put_{table}"], rows)
    assert counts is not None
    summary.added[table] += counts["added"]
    summary.updated[table] += counts["updated"]
    summary.unchanged[table] += len(rows) - counts["added"] - counts["updated"]


def _steps(rows_by_table: dict[str, list[_Row]], with_new_shifts: list[Entry]) -> Iterator[_Step]:
    books: list[_Row] = [
        {"provider": identifier} for identifier in sorted({entry.provider.identifier for entry in with_new_shifts})
    ]
    for table, rows in rows_by_table.items():
        if table == "shifts":
            yield from _batches("lock_books", books)
        yield from _batches(table, rows)
        if table == "providers" and rows:
            yield "analyze_directory", []
    if rows_by_table["posts"]:
        yield "analyze_schedule", []
    yield from _batches("offer_new_times", books)
    yield "count_words", []


def _batches(table: str, rows: list[_Row]) -> Iterator[_Step]:
    for start in range(0, len(rows), _ROWS_A_STEP):
        yield table, rows[start : start + _ROWS_A_STEP]
