"""Import a file into the directory, the schedule and the books, in one transaction.

It stands above all the areas it writes to, which therefore need not know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from zoneinfo import available_timezones

from healthplus.country import HERE
from healthplus.database import Database, FreeSpace, PostgresError, Transaction, load
from healthplus.errors import BadInput, Conflict
from healthplus.imports import formats, tables
from healthplus.imports.closings import carry_out, plan, sources_note
from healthplus.imports.columns import known_names, recognise
from healthplus.imports.entries import Entry, PostalCode
from healthplus.imports.fitting import fit_currencies, fit_shifts
from healthplus.imports.formats import POSTAL_CODES, Format
from healthplus.imports.named import note_named
from healthplus.imports.one_city import KnownCities
from healthplus.imports.photos import PhotoFetcher
from healthplus.imports.positions import without_far_positions
from healthplus.imports.records import RecordFile
from healthplus.imports.rejected import rejected_path, write_rejected
from healthplus.imports.renamed import without_renamed
from healthplus.imports.seen import SeenEntries, SeenPostalCodes
from healthplus.imports.sources import open_file
from healthplus.imports.specialities import unknown_specialities
from healthplus.imports.store import Progress, Refused, store
from healthplus.imports.summary import DEFAULTS, Options, Remark, Summary

_queries = load(Path(__file__).with_name("import.sql"))

_MUCH_ROWS, _MUCH_SHARE = 50, 0.1
"""An import that changes more stored rows than that, and such a share of its own, does so only with `yes`."""
_T = TypeVar("_T")


class _RollBackError(Exception):
    pass


async def import_file(
    db: Database,
    path: Path,
    options: Options = DEFAULTS,
    progress: Progress = lambda steps, _: steps,
    photos: PhotoFetcher | None = None,
) -> Summary:
    """Store the good rows of a file as docs/import.md describes; importing it again changes nothing.

    Rejected rows are also written to a file beside it. Raises BadInput when the file as a whole cannot be used
    (ColumnsUnknown with a proposal), Conflict when schedules were changed meanwhile, DatabaseBusy when something else
    kept a row locked, DiskFull when there is no room; nothing is stored then.
    """
    if options.time_zone not in available_timezones():
        raise BadInput(f"{options.time_zone!r} is no time zone; {HERE.time_zone}, for example, is one")
    file = _open(path, options)
    options = replace(options, source=options.complete or options.source or path.stem)
    entries, postal_codes, summary = _read_all(file, options)
    # Before anything is locked: a server that is slow to answer must not keep others waiting.
    hashes, missing = await (photos or PhotoFetcher(db)).fetch(
        entries, store=not options.dry_run, again=options.photos_again
    )
    summary.missing_photos = [Remark(*one) for one in missing]
    try:
        async with db.transaction() as tx:
            await tx.execute(_queries.lock_imports)
            await tx.execute(_queries.wait_briefly)
            summary.places.note = await sources_note(tx, options)
            cities = await KnownCities.read(tx)
            read = cities.in_one_city(entries)
            entries = await without_renamed(tx, read, options, summary)
            entries = await fit_currencies(tx, entries, summary, strict=options.strict_cells)
            entries, with_new_shifts = await fit_shifts(tx, entries, summary, strict=options.strict_cells)
            storing = _Store(tx, db.space, options, hashes, progress, cities)
            entries, with_new_shifts = await storing.entries(entries, with_new_shifts, summary)
            postal_codes = await storing.postal_codes(postal_codes, summary)
            wanted = await plan(tx, read, entries, options, summary)
            summary.accepted = len(entries) + len(postal_codes)
            summary.unchanged["shifts"] = _shift_count(entries) - _shift_count(with_new_shifts)
            summary.gaps = sorted(Remark(entry.line, gap) for entry in entries for gap in entry.gaps)
            summary.rejected.sort()
            summary.unsure = None if options.yes else _unsure(summary)
            _roll_back_if(options.dry_run or bool(summary.unsure) or (options.strict and bool(summary.rejected)))
            summary.stored = True
    except _RollBackError:
        summary.stored = False
        summary.places.are_closed = False
    except PostgresError as error:
        if error.sqlstate == "23P01":  # exclusion_violation
            raise Conflict("schedules were changed during the import; nothing was stored, run it again") from error
        if error.constraint_name == "clinic_currency_is_kept":
            raise Conflict(f"{error} Nothing was stored.") from error
        raise
    if summary.stored:
        await carry_out(db, wanted, summary.places)
    summary.unknown_specialities = unknown_specialities(entries)
    if summary.rejected:
        try:
            write_rejected(rejected_path(path), file, summary.rejected)
            summary.rejected_file = rejected_path(path)
        except BadInput as problem:  # what was stored is stored
            summary.unwritten = str(problem)
    return summary


def read_file(path: Path, options: Options = DEFAULTS) -> tuple[list[Entry], list[PostalCode], Summary]:
    """Return a file's entries or its postal codes, without looking at the database.

    Raises BadInput when none of the file can be used.
    """
    return _read_all(_open(path, options), options)


def _open(path: Path, options: Options) -> RecordFile:
    wanted = options.columns
    file = open_file(path, known_names() | set(wanted.columns), options.encoding)
    file.map_columns(wanted.columns, wanted.values)
    return file


def _read_all(file: RecordFile, options: Options) -> tuple[list[Entry], list[PostalCode], Summary]:
    kind = recognise(file, options.columns.kind)
    if kind is POSTAL_CODES:
        if options.complete is not None:
            raise BadInput("--complete is for hospitals and providers: postal codes are not closed")
        seen_codes = SeenPostalCodes()
        summary = _read(file, kind, seen_codes.add, options)
        return [], seen_codes.accepted, summary
    seen = SeenEntries(has_identifiers=kind.has_identifiers, strict=options.strict_cells)
    summary = _read(file, kind, seen.add, options)
    return without_far_positions(seen.accepted), [], summary


def _read(file: RecordFile, kind: Format[_T], add: Callable[[_T], int | None], options: Options) -> Summary:
    summary = Summary(
        kind.name, file.encoding, ignored_columns=[one for one in file.columns if one not in kind.columns]
    )
    for record in file.records():
        summary.rows += 1
        try:
            row = formats.read_row(kind, record, strict_cells=options.strict_cells)
            if first := add(row):
                summary.duplicates.append(Remark(record.line, f"the same as line {first}"))
        except BadInput as problem:
            summary.rejected.append(Remark(record.line, str(problem)))
            note_named(kind, record, summary.places)
    return summary


@dataclass(frozen=True)
class _Store:
    """Stores the rows of a file again and again, until the database refuses none."""

    tx: Transaction
    space: FreeSpace
    options: Options
    hashes: dict[str, str]
    progress: Progress
    cities: KnownCities

    async def entries(
        self, entries: list[Entry], with_new_shifts: list[Entry], summary: Summary
    ) -> tuple[list[Entry], list[Entry]]:
        """Store entries; return those that were, and which of them have new shifts."""
        while entries:
            parts = tables.tables_of(
                entries, with_new_shifts, self.cities, self.options.source or "", self.options.time_zone, self.hashes
            )
            try:
                await store(self.tx, parts, self.space, summary, self.progress)
                break
            except Refused as refused:
                reasons = {
                    entry.line: one.reason for one in refused.refusals for entry in entries if one.concerns(entry)
                }
            summary.rejected += [Remark(*one) for one in reasons.items()]
            entries, with_new_shifts = (
                [entry for entry in those if entry.line not in reasons] for those in (entries, with_new_shifts)
            )
        return entries, with_new_shifts

    async def postal_codes(self, codes: list[PostalCode], summary: Summary) -> list[PostalCode]:
        """Store postal codes; return those that were."""
        while codes:
            try:
                await store(self.tx, tables.postal_code_tables(codes), self.space, summary, self.progress)
                break
            except Refused as refused:
                reasons = {one.row["line"]: one.reason for one in refused.refusals}
            summary.rejected += [Remark(*one) for one in reasons.items()]
            codes = [code for code in codes if code.line not in reasons]
        return codes


def _shift_count(entries: Iterable[Entry]) -> int:
    return sum(len(entry.shifts) for entry in entries)


def _unsure(summary: Summary) -> str | None:
    """Return what an import would change much of, if it does."""
    for name in ("postal_codes", "clinics", "providers"):
        changed = summary.updated[name]
        if changed > _MUCH_ROWS and changed > _MUCH_SHARE * summary.rows:
            deed = "move" if name == "postal_codes" else "overwrite"
            return f"this would {deed} {changed} stored {name.replace('_', ' ')}"
    return None


def _roll_back_if(condition: bool) -> None:
    if condition:
        raise _RollBackError
