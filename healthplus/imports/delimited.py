"""Read CSV files as people send them: whatever separates their cells, and however their text is encoded."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from healthplus.errors import BadInput
from healthplus.imports.records import Row

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_ROWS = 50
_CHUNK_BYTES = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class DelimitedFile:
    """A CSV file; what separates its cells is what most of its first rows agree on."""

    def __init__(self, path: Path, encoding: str | None = None) -> None:
        """Look at the file. Raises BadInput when it is no text of this `encoding`, or of any that can be told."""
        self._path = path
        self.encoding = _checked(path, encoding) if encoding else _detected(path)
        self._said, self._separator = self._separator_of()

    def rows(self) -> Iterator[Row]:
        """Yield each row but blank lines; one that is not readable as CSV has a problem."""
        with self._path.open(encoding=self.encoding, newline="") as text:
            if self._said:
                text.readline()
            yield from _rows(text, self._separator, first_line=2 if self._said else 1)

    def _separator_of(self) -> tuple[bool, str]:
        """Return whether the file itself says what separates its cells, as Excel's `sep=;` does, and what does."""
        with self._path.open(encoding=self.encoding, newline="") as text:
            if said := re.fullmatch(r"sep=(.)\s*", text.readline(100)):
                return True, said[1]
        return False, max(_SEPARATORS, key=self._agreement)

    def _agreement(self, separator: str) -> tuple[int, int]:
        """Return how many of the first rows have the most common number of cells, over 1, and that number."""
        with self._path.open(encoding=self.encoding, newline="") as text:
            sample = itertools.islice(_rows(text, separator, first_line=1), _SAMPLE_ROWS)
            widths = [len(row.fields) for row in sample if len(row.fields) > 1]
        width = max(set(widths), key=widths.count, default=0)
        return widths.count(width), width


def _rows(lines: Iterator[str], separator: str, first_line: int) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    while True:
        line = reader.line_num + first_line
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # The reader goes on with the next line; an unclosed quote has swallowed the lines before it.
            last = reader.line_num + first_line - 1
            yield Row(line, (), f"not readable as CSV up to line {last}: {error}")
            continue
        if fields:
            yield Row(line, fields)


def _detected(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4096)
    marked = next((encoding for mark, encoding in _MARKS if start.startswith(mark)), None)
    if marked is None and start.count(0) > len(start) / 4:
        # UTF-16 without its mark: of Latin text, every second byte is zero. A zero here and there is a slip.
        marked = "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        if _is_text(path, encoding):
            return encoding
    raise BadInput(f"{path} is neither UTF-8, UTF-16 nor Windows-1252 text; save it as 'CSV UTF-8', or say --encoding")


def _checked(path: Path, encoding: str) -> str:
    try:
        if codecs.lookup(encoding)._is_text_encoding and _is_text(path, encoding):
            return encoding
    except LookupError:
        raise BadInput(f"{encoding!r} is no encoding; utf-8, cp1252 and gb18030, for example, are") from None
    raise BadInput(f"{path} is no text in {encoding}")


def _is_text(path: Path, encoding: str) -> bool:
    """Return whether all of a file can be read in an encoding. Any bytes could be Windows-1252 but for the zeros."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK_BYTES):
                if "\x00" in decoder.decode(chunk) and encoding == "cp1252":
                    return False
            decoder.decode(b"", final=True)
        except UnicodeError:
            return False
    return True
