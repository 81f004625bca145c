"""The ledger of an emulated gateway: its objects as documents, what happens later, and answers that can be repeated."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec

Document = dict[str, Any]
"""An object as the gateway's API shows it; `id` is its name."""

_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;  -- a power cut may cost it its memory: there is no money in it
CREATE TABLE IF NOT EXISTS object (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they were made
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    parent TEXT NOT NULL,  -- what it belongs to and is found by; '' for nothing
    body BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS object_parent ON object (kind, parent);
CREATE TABLE IF NOT EXISTS moved (id TEXT NOT NULL, state TEXT NOT NULL, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS later (step TEXT NOT NULL, id TEXT NOT NULL, due_at REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS later_due_at ON later (due_at);
CREATE TABLE IF NOT EXISTS answered (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""


class Ledger:
    """A ledger in a file of its own, and a clock that tests can put forward."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)  # SQLite makes the files beside it of the same mode
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(_TABLES)
        self.ahead_seconds = 0.0

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def now(self) -> float:
        """Return what the gateway's clock shows, in seconds since 1970."""
        return time.time() + self.ahead_seconds

    def put(self, kind: str, document: Document, parent: str = "") -> None:
        """Store a new object."""
        self.connection.execute(
            "INSERT INTO object (id, kind, parent, body) VALUES (?, ?, ?, ?)",
            (document["id"], kind, parent, msgspec.json.encode(document)),
        )

    def change(self, document: Document) -> None:
        """Store an object as it is now."""
        self.connection.execute(
            "UPDATE object SET body = ? WHERE id = ?", (msgspec.json.encode(document), document["id"])
        )

    def find(self, kind: str, name: str) -> Document | None:
        """Return an object by its name."""
        row = self.connection.execute("SELECT body FROM object WHERE id = ? AND kind = ?", (name, kind)).fetchone()
        return msgspec.json.decode(row[0], type=Document) if row else None

    def all(self, kind: str, parent: str | None = None) -> list[Document]:
        """Return all objects of a kind, those of `parent` only if it is given; last made first."""
        rows = self.connection.execute(
            "SELECT body FROM object WHERE kind = ? AND parent = coalesce(?, parent) ORDER BY number DESC",
            (kind, parent),
        )
        return [msgspec.json.decode(row[0]) for row in rows]

    def note_move(self, name: str, state: str) -> None:
        """Note that money reached a state, at the real time."""
        self.connection.execute("INSERT INTO moved VALUES (?, ?, ?)", (name, state, time.time()))

    def plan(self, step: str, name: str, seconds: float) -> None:
        """Have a step taken with an object after so long."""
        self.connection.execute("INSERT INTO later VALUES (?, ?, ?)", (step, name, self.now() + seconds))

    def take_due(self) -> list[tuple[str, str]]:
        """Return the steps that are to be taken by now, each once."""
        taken = "DELETE FROM later WHERE due_at <= ? RETURNING step, id"
        return self.connection.execute(taken, (self.now(),)).fetchall()

    def answered(self, key: str) -> tuple[str, int, bytes] | None:
        """Return the request that came with an idempotency key, and its answer."""
        find = "SELECT request, status, body FROM answered WHERE key = ?"
        row: tuple[str, int, bytes] | None = self.connection.execute(find, (key,)).fetchone()
        return row

    def keep_answer(self, key: str, request: str, status: int, body: bytes) -> None:
        """Keep an answer, for when the request is repeated."""
        self.connection.execute("INSERT INTO answered VALUES (?, ?, ?, ?)", (key, request, status, body))
