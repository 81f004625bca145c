"""Which columns of somebody's files are ours: read from the command line or a file, and written to be corrected."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from healthplus.errors import BadInput
from healthplus.imports.columns import Proposal
from healthplus.imports.formats import HOSPITALS, POSTAL_CODES, PROVIDERS, Kind
from healthplus.imports.records import column_key

_OURS = frozenset(HOSPITALS.columns + PROVIDERS.columns + POSTAL_CODES.columns)


class ColumnMap(NamedTuple):
    """Our columns by theirs, and `values` that all rows have in columns which the file lacks."""

    kind: Kind | None = None
    columns: Mapping[str, str] = MappingProxyType({})
    values: Mapping[str, str] = MappingProxyType({})


def column_map(pairs: Iterable[str], path: Path | None = None, kind: Kind | None = None) -> ColumnMap:
    """Return what `theirs=ours` texts and a file say together, the texts counting first. Raises BadInput."""
    found = read_map(path) if path and path.exists() else ColumnMap()
    columns = dict(map(_pair, pairs))
    _require_ours(columns.values())
    return ColumnMap(kind or found.kind, {**found.columns, **columns}, found.values)


def read_map(path: Path) -> ColumnMap:
    """Return what a mapping file says; raises BadInput when it cannot be read."""
    try:
        said: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no TOML: {error}") from error
    tables = [said.get(name, {}) for name in ("columns", "values")]
    if unknown := said.keys() - {"kind", "columns", "values"}:
        raise BadInput(f"{path}: {min(unknown)!r} is none of kind, [columns] and [values]")
    if not all(isinstance(one, dict) and all(isinstance(text, str) for text in one.values()) for one in tables):
        raise BadInput(f'{path}: [columns] and [values] have texts, such as name = "Hospital Name"')
    kind = said.get("kind")
    if kind is not None and kind not in get_args(Kind):
        raise BadInput(f"{path}: kind is one of {', '.join(get_args(Kind))}")
    columns, values = ({column_key(name): text for name, text in one.items()} for one in tables)
    _require_ours([*columns, *values])
    return ColumnMap(kind, {column_key(theirs): ours for ours, theirs in columns.items()}, values)


def write_map(path: Path, proposal: Proposal) -> None:
    """Write a proposal as a file that `read_map` reads; what is missing stands there as a remark. Raises BadInput."""
    lines = [
        "# Which columns of the file are which of ours. Correct what is wrong, then import with --mapping.",
        f"kind = {json.dumps(proposal.kind)}",
        "",
        "[columns] # ours = theirs",
        *(f"{ours} = {json.dumps(theirs, ensure_ascii=False)}" for theirs, ours in proposal.columns.items()),
        "",
        "[values] # of all rows, where the file has no such column",
        *(f'# {ours} = "..."' for ours in proposal.missing),
    ]
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from error


def _pair(text: str) -> tuple[str, str]:
    theirs, equals, ours = text.rpartition("=")
    if not (equals and theirs.strip() and ours.strip()):
        raise BadInput(f"--map {text!r}: expected THEIRS=OURS, such as 'Hospital Name=name'")
    return column_key(theirs), column_key(ours)


def _require_ours(columns: Iterable[str]) -> None:
    if unknown := sorted(set(columns) - _OURS):
        raise BadInput(f"{unknown[0]!r} is none of our columns: {', '.join(sorted(_OURS))}")
