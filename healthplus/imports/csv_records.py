"""Read CSV files as people send them into records, each with the line it starts on."""

from __future__ import annotations

import contextlib
import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from healthplus.errors import BadInput

EMPTY_REMOVES = ("photo", "pictures")
"""Columns in which an empty cell says that there is none, and not that the file does not know."""
_BYTES_MAX = 200 * 1024 * 1024  # the file is held in memory, as bytes and as text


class Record(NamedTuple):
    """One record: its cells by column, without most empty ones, or the `problem` that left it without any."""

    line: int
    cells: dict[str, str]
    problem: str | None


class CsvFile:
    """A CSV file whose header is read into `columns`; `records()` reads the rest."""

    def __init__(self, path: Path) -> None:
        """Read the file; raises BadInput when it cannot be read, is no text, or has no header."""
        text, self.encoding = _decode(path)
        self._reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            header = next(self._reader, [])
        except csv.Error as error:
            raise BadInput(f"{path} has no readable header: {error}") from error
        self.columns = [clean(name).lower().replace(" ", "_") for name in header]
        if not any(self.columns):
            raise BadInput(f"{path} is empty: it must start with a line that names the columns")
        if len(set(self.columns)) < len(self.columns):
            raise BadInput(f"{path} names a column twice: {', '.join(self.columns)}")

    def records(self) -> Iterator[Record]:
        """Yield each record that is not a blank line."""
        while True:
            line = self._reader.line_num + 1
            try:
                fields = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                # The reader goes on with the next line; an unclosed quote has swallowed the lines before it.
                yield Record(line, {}, f"not readable as CSV up to line {self._reader.line_num}: {error}")
                continue
            if len(fields) == len(self.columns):
                pairs = zip(self.columns, map(clean, fields), strict=True)
                yield Record(line, {column: value for column, value in pairs if value or column in EMPTY_REMOVES}, None)
            elif fields:
                yield Record(line, {}, f"{len(fields)} fields where the header has {len(self.columns)}")


def clean(text: str) -> str:
    """Return the text on one line, in composed Unicode, with single spaces and no control characters."""
    # Some exports write a line break as a backslash and an n, and an apostrophe as a backtick.
    text = text.replace("\\n", " ").replace("`", "'")
    # Control characters only: the joiners that Indian scripts need are not printable either.
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u200b\ufeff]", " ", unicodedata.normalize("NFC", text)).split())


def _decode(path: Path) -> tuple[str, str]:
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise BadInput(f"{path} is larger than {_BYTES_MAX // 1024**2} MiB; split it")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    for encoding in ("utf-8-sig", "cp1252"):
        # UTF-16 would pass for Windows-1252 but for its zero bytes.
        with contextlib.suppress(UnicodeDecodeError):
            if 0 not in content:
                return content.decode(encoding), encoding
    raise BadInput(f"{path} is neither UTF-8 nor Windows-1252 text; save it as 'CSV UTF-8'")
