"""Tell whom a rejected row is about: what a file has, however badly, is not gone."""

from __future__ import annotations

from typing import TypeVar

from healthplus.errors import BadInput
from healthplus.imports import formats
from healthplus.imports.entries import Entry
from healthplus.imports.formats import Format
from healthplus.imports.records import Record
from healthplus.imports.summary import Places

_T = TypeVar("_T")

_TELL = ("provider_identifier", "clinic_identifier", "clinic_name", "registration")
"""Columns besides the required ones of which identifiers are made."""


def note_named(kind: Format[_T], record: Record, places: Places) -> None:
    """Note which post a rejected row names, or that it names none."""
    said = {column: text for column, text in record.cells.items() if column in kind.required or column in _TELL}
    try:
        row = formats.read_row(kind, Record(record.line, said, record.problem))
    except BadInput:
        places.unnamed.append(record.line)
        return
    if isinstance(row, Entry):
        places.named.add(row.post)
