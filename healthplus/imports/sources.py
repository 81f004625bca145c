"""Open a file of any kind, and find the header in it."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path

from healthplus.errors import BadInput
from healthplus.imports import fhir, spreadsheets
from healthplus.imports.delimited import DelimitedFile
from healthplus.imports.records import HEADER_ROWS, RecordFile, Row, Rows, clean, column_key

_BYTES_MAX = 200 * 1024 * 1024


def open_file(path: Path, known: Collection[str], encoding: str | None = None) -> RecordFile:
    """Return a file whose header has the most `known` names of columns; raises BadInput when it cannot be used."""
    source: Rows | None
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise BadInput(f"{path} is larger than {_BYTES_MAX // 1024**2} MiB; split it")
        with path.open("rb") as file:
            start = file.read(64)
        if start.startswith(spreadsheets.MARKS):
            source = max(
                spreadsheets.sheets(path), key=lambda sheet: _known_count(_header(sheet, known), known), default=None
            )
            header = _header(source, known) if source else None
        elif fhir.is_json(start):
            source = fhir.FhirRows(path)
            header = fhir.HEADER
        else:
            source = DelimitedFile(path, encoding)
            header = _header(source, known)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if source is None or header is None:
        raise BadInput(f"{path} is empty: it must start with a line that names the columns")
    return RecordFile(source, header)


def _header(source: Rows, known: Collection[str]) -> Row | None:
    """Return the first of the first rows with the most known names or, where none has any, with two names at least."""
    rows = [row for row in itertools.islice(source.rows(), HEADER_ROWS) if any(map(clean, row.fields))]
    named = [row for row in rows if sum(map(bool, map(clean, row.fields))) > 1] or rows
    best = max(rows, key=lambda row: _known_count(row, known), default=None)
    return best if best is None or _known_count(best, known) else named[0]


def _known_count(row: Row | None, known: Collection[str]) -> int:
    return len({key for field in row.fields if (key := column_key(field)) in known}) if row else -1
