"""Write the rejected rows of a file into one beside it, for somebody to correct and import."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from healthplus.errors import BadInput
from healthplus.imports.records import RecordFile

_COLUMNS = ("line", "reason")


def rejected_path(path: Path) -> Path:
    """Return where the rejected rows of a file are written to."""
    return path.with_name(f"{path.name}.rejected.csv")


def write_rejected(path: Path, file: RecordFile, reasons: Iterable[tuple[int, str]]) -> None:
    """Write the rows of these lines as they stand in the file, with the reasons behind them. Raises BadInput."""
    by_line: dict[int, list[str]] = defaultdict(list)
    for line, reason in reasons:
        by_line[line].append(reason)
    width = len(file.names)
    try:
        # With a byte order mark, by which Excel knows UTF-8.
        with path.open("w", encoding="utf-8-sig", errors="replace", newline="") as output:
            writer = csv.writer(output)
            writer.writerow([*file.names, *_COLUMNS])
            for row in file.data_rows():
                if row.line in by_line:
                    cells = [*row.fields[:width], *[""] * (width - len(row.fields)), str(row.line)]
                    writer.writerow([*cells, "; ".join(by_line[row.line])])
    except (OSError, csv.Error) as error:
        raise BadInput(f"{path} cannot be written: {error}") from error
