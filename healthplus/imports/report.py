"""Print what an import did, and what a file's columns probably are."""

from __future__ import annotations

import shlex
from collections import defaultdict

from rich.console import Console
from rich.table import Table

from healthplus.imports.columns import Proposal
from healthplus.imports.summary import Places, Remark, Summary

_LINES_SHOWN_MAX = 50
_SPECIALITIES_SHOWN_MAX = 20


def print_summary(summary: Summary, console: Console) -> None:
    """Print the counts, then each rejected row, the first fifty at most, with its line and reason."""
    if summary.encoding == "cp1252":
        console.print(
            "The file is not UTF-8; it was read as Windows-1252. Look at names with accents, or save it as UTF-8."
        )
    if summary.ignored_columns:
        console.print(f"Columns not known and left out: {', '.join(summary.ignored_columns)}", markup=False)
    table = Table("", "added", "updated", "unchanged")
    for name in summary.added | summary.unchanged:
        counts = (summary.added[name], summary.updated[name], summary.unchanged[name])
        table.add_row(name.replace("_", " "), *map(str, counts))
    console.print(table)
    console.print(
        f"{summary.rows} rows of a {summary.format}: {summary.accepted} accepted, "
        f"{len(summary.duplicates)} duplicates, {len(summary.rejected)} rejected."
    )
    _print_gaps(summary, console)
    _print_lines("No picture", summary.missing_photos, console)
    _print_lines("Duplicate", summary.duplicates, console)
    _print_lines("Rejected", summary.rejected, console)
    _print_places(summary.places, console)
    _print_specialities(summary, console)
    if summary.unwritten:
        console.print(f"The rejected rows are written nowhere: {summary.unwritten}", markup=False, soft_wrap=True)
    if summary.rejected_file:
        console.print(
            f"The rejected rows are in {summary.rejected_file}, with reasons: correct them, and import that file.",
            markup=False,
            soft_wrap=True,
        )


def print_proposal(proposal: Proposal, console: Console) -> None:
    """Print a proposal as options of the command."""
    if proposal.columns:
        options = [
            f"--map {shlex.quote(f'{theirs}={ours}')}" for theirs, ours in proposal.columns.items() if theirs != ours
        ]
        console.print(f"It may be: --kind {proposal.kind} {' '.join(options)}", markup=False, soft_wrap=True)
    if proposal.missing:
        console.print(
            f"Nothing was found for: {', '.join(proposal.missing)}. Add the columns, or a value for all rows "
            "under [values] of a mapping file.",
            markup=False,
            soft_wrap=True,
        )
    console.print("--mapping NEW.toml writes this into a file that you can correct and use.", soft_wrap=True)


def _print_gaps(summary: Summary, console: Console) -> None:
    lines: dict[str, list[int]] = defaultdict(list)
    for line, text in summary.gaps:
        lines[text].append(line)
    for text, those in sorted(lines.items(), key=lambda item: (-len(item[1]), item[1])):
        console.print(
            f"Tolerated in {len(those)} rows, first in line {those[0]}: {text}.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _print_lines(what: str, remarks: list[Remark], console: Console) -> None:
    for line, text in remarks[:_LINES_SHOWN_MAX]:
        console.print(f"{what}, line {line}: {text}", markup=False, highlight=False, soft_wrap=True)
    if (more := len(remarks) - _LINES_SHOWN_MAX) > 0:
        console.print(f"… and {more} more.")


def _print_places(places: Places, console: Console) -> None:
    for what, names in (
        ("Renamed", places.renamed),
        ("Open again", places.opened),
        ("Closed", places.closed),
        ("Gone, but another source has it", places.kept),
        ("Gone", places.gone),
    ):
        for name in names:
            console.print(f"{what}: {name}", markup=False, highlight=False, soft_wrap=True)
    if places.are_closed:
        console.print("What is gone is closed.")
    elif places.gone and not places.note:
        console.print("What is gone stays open. To close it, import the file again with --yes.")
    if places.flagged or places.stands:
        console.print(f"Appointments to be rebooked: {places.flagged}; that stand again: {places.stands}.")
    if places.note:
        console.print(places.note, markup=False, soft_wrap=True)


def _print_specialities(summary: Summary, console: Console) -> None:
    unknown = summary.unknown_specialities
    if unknown:
        console.print("Specialities that search does not know, the most frequent first:")
    for name, count, guess in unknown[:_SPECIALITIES_SHOWN_MAX]:
        perhaps = f" (perhaps {guess})" if guess else ""
        console.print(f"  {count} × {name}{perhaps}", markup=False, highlight=False, soft_wrap=True)
    if (more := len(unknown) - _SPECIALITIES_SHOWN_MAX) > 0:
        console.print(f"… and {more} more.")
