"""Holds queries to the rule that no request reads a table whole that grows with the directory or the book."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from healthplus.database import Database

SMALL = frozenset({"city", "speciality", "service_type", "app_clock", "presence_since"})
"""Tables that may be read whole."""

_SCANS = "SELECT schemaname || '.' || relname AS name, relname, seq_scan FROM pg_stat_xact_user_tables"


async def assert_indexed(
    db: Database, sql: str, *args: object, settings: str = "", small: Collection[str] = SMALL
) -> None:
    """Fail when a query, planned as the product's sessions plan it, reads all of a table that is not `small`.

    Its own plan must name a key at every look into an index: without sequential scans a missing index shows as a walk
    through another. What the functions that it calls do is not in the plan; their sequential scans are counted.
    `settings` is SQL to run before, such as the SET LOCAL that the product runs before this query.
    """
    values = ", ".join([await db.fetch_value("SELECT quote_nullable($1::text)", _text(arg)) for arg in args])
    async with db.transaction() as tx:
        if settings:
            await tx.execute(settings)
        await tx.execute(f"PREPARE explained AS {sql}")
        explained = await tx.fetch_value(f"EXPLAIN (FORMAT JSON) EXECUTE explained{f'({values})' if args else ''}")
        await tx.execute("DEALLOCATE explained")
        before = {row["name"]: row["seq_scan"] for row in await tx.fetch(_SCANS)}
        await tx.fetch(sql, *args)
        scanned = [
            row["name"]
            for row in await tx.fetch(_SCANS)
            if row["relname"] not in small and row["seq_scan"] > before.get(row["name"], 0)
        ]
    whole = [node for node in _nodes(json.loads(explained)[0]["Plan"]) if _reads_all(node, small)]
    assert not whole, f"{whole} in {explained}"
    assert not scanned, f"read from end to end: {scanned}"


def _text(arg: object) -> str | None:
    if isinstance(arg, list):
        return f"{{{','.join('NULL' if one is None else str(one) for one in arg)}}}"
    return json.dumps(arg) if isinstance(arg, dict) else None if arg is None else str(arg)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {key: value for key, value in plan.items() if key != "Plans"}
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _reads_all(node: dict[str, Any], small: Collection[str]) -> bool:
    if node.get("Relation Name") in small:
        return False
    kind = node["Node Type"]
    by_key = "Index Cond" in node or "Order By" in node
    return kind == "Seq Scan" or (kind in ("Index Scan", "Index Only Scan", "Bitmap Index Scan") and not by_key)
