"""Loads the named queries of `.sql` files, which lie beside the modules that use them.

Each query starts with its name, then a comment line that says what it is for:

    -- name: hold_by_id
    -- One live hold, for the page that counts down.
    SELECT ...
"""

from __future__ import annotations

import re
from pathlib import Path


class Queries(dict[str, str]):
    """The text of each query of a file, as `queries["name"]` or `queries.name`."""

    def __getattr__(self, name: str) -> str:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no query is named {name!r}; there are {', '.join(self)}") from None


def load(path: Path) -> Queries:
    """Read the named queries of a `.sql` file, usually `load(Path(__file__).with_name("queries.sql"))`.

    Raises ValueError, naming file and query, when a query has no purpose or no SQL, or its name is taken or invalid.
    """
    queries = Queries()
    preamble, *parts = re.split(r"^-- name:", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if _without_comments(preamble):
        raise ValueError(f"{path}: there is SQL before the first `-- name:` line")
    for part in parts:
        name, _, rest = (piece.strip() for piece in part.partition("\n"))
        purpose, _, body = (piece.strip() for piece in rest.partition("\n"))
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or hasattr(dict, name):
            raise ValueError(f"{path}: {name!r} cannot be a query's name; use small letters, digits and _")
        if name in queries:
            raise ValueError(f"{path}: two queries are named {name!r}; rename one")
        if not re.fullmatch(r"--\s*\S.*", purpose):
            raise ValueError(f"{path}: say in a comment line under its name what {name!r} is for")
        if not _without_comments(body):
            raise ValueError(f"{path}: {name!r} has no SQL")
        queries[name] = body
    return queries


def _without_comments(sql: str) -> str:
    return re.sub(r"--.*", "", sql).strip()
