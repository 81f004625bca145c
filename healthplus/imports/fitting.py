"""Compare what a file says with what is stored: amounts in another currency and shifts that differ are left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from healthplus.database import Transaction, load
from healthplus.errors import BadInput
from healthplus.imports.entries import Entry
from healthplus.imports.seen import left_out
from healthplus.imports.summary import Remark, Summary
from healthplus.schedule.shift_text import Shift, first_overlap

_queries = load(Path(__file__).with_name("import.sql"))


async def fit_currencies(tx: Transaction, entries: list[Entry], summary: Summary, *, strict: bool) -> list[Entry]:
    """Leave amounts out that are in another currency than those of the stored clinic or, where `strict`, their rows.

    A row that names the currency may correct that of a clinic which has no fees yet.
    """
    priced = {entry.clinic.identifier for entry in entries if _has_amounts(entry)}
    stored = {row["identifier"]: row for row in await tx.fetch(_queries.stored_currencies, list(priced))}
    fitting = []
    for entry in entries:
        clinic = stored.get(entry.clinic.identifier) if _has_amounts(entry) else None
        if clinic and clinic["currency"] != entry.currency and (clinic["has_money"] or not entry.clinic.currency):
            reason = f"{entry.currency}, but this clinic's amounts are in {clinic['currency']}"
            try:
                fitting.append(_without_amounts(entry, reason, strict=strict))
            except BadInput as problem:
                summary.rejected.append(Remark(entry.line, str(problem)))
        else:
            fitting.append(entry)
    return fitting


def _has_amounts(entry: Entry) -> bool:
    return bool(entry.clinic.currency or entry.fee_minor or entry.tests or entry.services)


def _without_amounts(entry: Entry, reason: str, *, strict: bool) -> Entry:
    clinic = msgspec.structs.replace(entry.clinic, currency=None)
    amounts: dict[str, object] = {"fee_minor": None, "funding": None, "tests": (), "services": ()}
    return left_out(entry, "currency", reason, strict=strict, clinic=clinic, **amounts)


async def fit_shifts(
    tx: Transaction, entries: list[Entry], summary: Summary, *, strict: bool
) -> tuple[list[Entry], list[Entry]]:
    """Leave shifts out that contradict those stored or, where `strict`, their rows.

    Returns the other entries, and which of them have new shifts.
    """
    providers = list({entry.provider.identifier for entry in entries if entry.shifts})
    stored: dict[str, dict[str, set[Shift | None]]] = defaultdict(lambda: defaultdict(set))
    for row in await tx.fetch(_queries.stored_shifts, providers) if providers else ():
        shift = Shift(row["weekday"], row["starts"], row["ends"], row["slot_minutes"], row["seats"], row["slots_max"])
        # A shift that is valid for some time only differs from any that a file can state: None stands for that.
        stored[row["provider"]][row["clinic"]] |= {shift} if row["always"] else {shift, None}
    fitting, with_new_shifts = [], []
    for entry in entries:
        at = stored.get(entry.provider.identifier, {})
        here = at.get(entry.clinic.identifier, set())
        if not entry.shifts or here == set(entry.shifts):
            fitting.append(entry)
        elif reason := _clash(entry, at):
            try:
                fitting.append(left_out(entry, "shifts", reason, strict=strict, shifts=()))
            except BadInput as problem:
                summary.rejected.append(Remark(entry.line, str(problem)))
        else:
            fitting.append(entry)
            with_new_shifts.append(entry)
    return fitting, with_new_shifts


def _clash(entry: Entry, stored: dict[str, set[Shift | None]]) -> str | None:
    if stored.get(entry.clinic.identifier):
        return "differ from the stored ones; an import only adds first shifts, change them in the schedule"
    elsewhere = [s for clinic, shifts in stored.items() if clinic != entry.clinic.identifier for s in shifts if s]
    clash = _first_clash(entry.shifts, elsewhere)
    return f"{clash[0]} overlaps {clash[1]}, which this provider has at another clinic" if clash else None


def _first_clash(new: Iterable[Shift], stored: Sequence[Shift]) -> tuple[Shift, Shift] | None:
    # Stored shifts that are valid at different times may overlap, so each is compared with the new ones by itself.
    return next(((shift, other) for shift in new for other in stored if first_overlap((shift, other))), None)
