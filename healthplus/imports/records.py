"""What every kind of file is read as: a header of columns, and rows of texts, each with the line it starts on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from healthplus import text
from healthplus.errors import BadInput

EMPTY_REMOVES = ("photo", "pictures")
"""Columns in which an empty cell says that there is none, and not that the file does not know."""
HEADER_ROWS = 20
"""The header is looked for in as many rows: others have titles and remarks above it."""


class Row(NamedTuple):
    """A row's cells as they stand in the file, or the `problem` that left it unreadable."""

    line: int
    fields: Sequence[str]
    problem: str | None = None


class Record(NamedTuple):
    """A row's cells by column, without most empty ones, or the `problem` that left it without any."""

    line: int
    cells: dict[str, str]
    problem: str | None


class Rows(Protocol):
    """A file that can be read several times over."""

    encoding: str

    def rows(self) -> Iterator[Row]:
        """Yield each row, also those above the header, but for blank lines."""


class RecordFile:
    """A file whose header is found; `records()` reads what stands below it.

    `names` are those of the columns, as they are written.
    """

    def __init__(self, source: Rows, header: Row) -> None:
        """Read the header; raises BadInput when it names a column twice."""
        self.source = source
        self.encoding = source.encoding
        self.names = [clean(name) for name in header.fields]
        while self.names and not self.names[-1]:
            self.names.pop()
        self._fields = [column_key(name) for name in self.names]
        self._values: dict[str, str] = {}
        self._header_line = header.line
        self._require_each_once()

    @property
    def columns(self) -> list[str]:
        """Return the names of all columns."""
        return [*filter(None, self._fields), *(one for one in self._values if one not in self._fields)]

    def map_columns(self, ours_by_theirs: Mapping[str, str], values: Mapping[str, str]) -> None:
        """Call columns as we do, and have these values in all rows whose cells of these columns are empty.

        Raises BadInput when one of these columns is not there, or two are called the same.
        """
        if absent := [column for column in ours_by_theirs if column not in self._fields]:
            raise BadInput(f"there is no column {absent[0]!r} (found: {', '.join(self.columns)})")
        taken = set(ours_by_theirs.values())
        # A column that happens to have the name which another one is given is left out.
        self._fields = [ours_by_theirs.get(one, "" if one in taken else one) for one in self._fields]
        self._values = dict(values)
        self._require_each_once()

    def _require_each_once(self) -> None:
        named = [column for column in self._fields if column]
        if twice := sorted({column for column in named if named.count(column) > 1}):
            raise BadInput(f"the file names a column twice: {', '.join(twice)}")

    def data_rows(self) -> Iterator[Row]:
        """Yield the rows below the header that say anything."""
        for row in self.source.rows():
            if row.line > self._header_line and (row.problem or any(map(clean, row.fields))):
                yield row

    def records(self) -> Iterator[Record]:
        """Yield each row below the header that says anything."""
        width = len(self._fields)
        for line, fields, problem in self.data_rows():
            if problem:
                yield Record(line, {}, problem)
                continue
            cells = list(map(clean, fields))
            # What a spreadsheet saves beside its table is empty. Where cells are missing or more, they may have moved.
            if len(cells) < width or any(cells[width:]):
                yield Record(line, {}, f"{len(cells)} fields where the header has {width}")
                continue
            pairs = zip(self._fields, cells, strict=False)
            said = {column: value for column, value in pairs if column and (value or column in EMPTY_REMOVES)}
            yield Record(line, self._values | said, None)


def column_key(name: str) -> str:
    """Return a column's name as it is compared: in small letters, with _ for spaces."""
    return clean(name).lower().replace(" ", "_")


def clean(cell: str) -> str:
    """Return the text on one line, with single spaces and without marks that nobody sees."""
    if cell.isascii() and cell.isprintable() and "\\" not in cell and "`" not in cell:
        return " ".join(cell.split())
    # Some exports write a line break as a backslash and an n, and an apostrophe as a backtick.
    cell = cell.replace("\\n", " ").replace("`", "'")
    return text.line(re.sub(r"[\ud800-\udfff]", " ", cell))  # halves of characters, which no file can keep
