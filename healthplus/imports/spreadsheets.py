"""Read the sheets of spreadsheet files (XLSX, XLS, ODS) as rows of texts."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import python_calamine

from healthplus.errors import BadInput
from healthplus.imports.records import Row

_UNPACKED_BYTES_MAX = 1 << 30
MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
"""What such a file starts with: that of a ZIP archive, and that of Excel before 2007."""


class Sheet:
    """One sheet of a file; its rows are numbered as the spreadsheet shows them."""

    encoding = "spreadsheet"

    def __init__(self, sheet: Any) -> None:
        self._sheet = sheet
        self.name: str = sheet.name

    def rows(self) -> Iterator[Row]:
        """Yield each row that is not empty."""
        for number, values in enumerate(self._sheet.iter_rows(), start=1):
            fields = [_text(value) for value in values]
            if any(fields):
                yield Row(number, fields)


def sheets(path: Path) -> list[Sheet]:
    """Return the sheets of a file. Raises BadInput when it cannot be read."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if sum(part.file_size for part in archive.infolist()) > _UNPACKED_BYTES_MAX:
                    raise BadInput(f"{path} unpacks to over {_UNPACKED_BYTES_MAX >> 20} MiB; split it")
        book = python_calamine.CalamineWorkbook.from_path(path)
        return [Sheet(book.get_sheet_by_name(name)) for name in book.sheet_names]
    except BadInput:
        raise
    except BaseException as error:
        # A broken file may even make the library panic, which is no Exception.
        if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
            raise
        raise BadInput(f"{path} cannot be read as a spreadsheet: {error}; save it as CSV") from None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # All digits of what Excel holds as a number, also of those that it shows as 9.19877E+11.
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.date().isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)
