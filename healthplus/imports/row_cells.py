"""The cells of one row while they are read: what is wrong with an optional one is noted, or rejects the row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from healthplus.errors import BadInput
from healthplus.imports.cells import NOTHING, undo_excel
from healthplus.imports.records import EMPTY_REMOVES

_T = TypeVar("_T")

_EMPTY = NOTHING | {""}
_MAY_SAY_ANYTHING = frozenset({"name", "given_name", "family_name", "photo", "pictures"})
"""Columns in which `Na` is no word for nothing, or an empty cell says something."""


class RowCells:
    """Reads the cells of a row by column. `notes` are the faults of optional cells, which are left out.

    `emptied` are the optional columns whose cell is `-`: there is nothing, and what is stored goes.

    `strict`: such a fault rejects the row instead.
    """

    def __init__(self, cells: dict[str, str], *, strict: bool) -> None:
        self._cells = cells
        self._strict = strict
        self.notes: list[str] = []
        self.emptied: list[str] = []

    def required(self, column: str, read: Callable[[str], _T]) -> _T:
        """Return what a cell says; raises BadInput when that cannot be told."""
        if not (text := self._cells.get(column, "")):
            raise BadInput(f"{column} is missing")
        try:
            return read(undo_excel(text))
        except BadInput as problem:
            raise BadInput(_reason(column, text, problem)) from None

    def optional(self, column: str, read: Callable[[str], _T]) -> _T | None:
        """Return what a cell says, or None; raises BadInput, where cells are `strict`, when that cannot be told."""
        text = self._cells.get(column)
        if text == "-":
            self.emptied.append(column)
            text = "" if column in EMPTY_REMOVES else text
        if text is None or (text.casefold() in NOTHING and column not in _MAY_SAY_ANYTHING):
            return None
        return self.part(column, lambda: read(undo_excel(text)), text)

    def cell(self, column: str, read: Callable[[str], _T]) -> _T | None:
        """Return what a cell says, if anything; raises BadInput when that cannot be told."""
        text = self._cells.get(column)
        if text is None or text.casefold() in NOTHING:
            return None
        try:
            return read(undo_excel(text))
        except BadInput as problem:
            raise BadInput(_reason(column, text, problem)) from None

    def says_any(self, columns: Iterable[str]) -> bool:
        """Return whether any of these columns has a cell that is not empty."""
        return any(self._cells.get(column, "").casefold() not in _EMPTY for column in columns)

    def part(self, column: str, read: Callable[[], _T], text: str | None = None) -> _T | None:
        """Return what several cells say together, or None, with the fault noted for one of them."""
        try:
            return read()
        except BadInput as problem:
            if self._strict:
                raise BadInput(_reason(column, text, problem)) from None
            self.note(f"{column} left out: {_bare(column, problem)}")
            return None

    def note(self, text: str) -> None:
        """Note what was tolerated."""
        self.notes.append(text)


def _bare(column: str, problem: BadInput) -> str:
    """Return a reason without the cell, so that those of many rows are counted together, and no number is shown."""
    reason = str(problem).removeprefix(f"{column}: ").removeprefix(f"{column} ")
    return re.sub(r"^(?:'[^']*'|\"[^\"]*\"): ", "", reason)


def _reason(column: str, text: str | None, problem: BadInput) -> str:
    reason = str(problem)
    if text is None or reason.startswith((f"{column} ", f"{column}:")):
        return reason
    if reason.startswith(repr(text[:60])):
        return f"{column} {reason}"
    return f"{column} {text[:60]!r}: {reason}"
