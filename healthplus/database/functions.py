"""Brings the database's functions to what the function files say, while processes of the release before go on.

Functions are code: whenever a file changed, all files are run again, in one transaction. A function that is there is
replaced in place, so that those who run it keep it. One that the files no longer have is dropped; or, where it comes
from the release before, kept for that release's processes (docs/decisions/0020).
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg

from healthplus.database.areas import Area
from healthplus.errors import MigrationConflict

logger = logging.getLogger(__name__)

_SHARED = "public"
"""The schema in which others may have functions, too: none is dropped there."""

# What a statement consists of: comments, quoted texts, the end, anything else.
_PIECES = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)|'(?:[^']|'')*'|\"[^\"]*\"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|(?P<end>;)|[^'\"$;/-]+|.",
    re.DOTALL,
)
_DEFINITION = re.compile(r"CREATE (?:OR REPLACE )?(FUNCTION|PROCEDURE|TRIGGER|VIEW) ([\w.]+)")

_KEPT = "Of release {}; kept for its processes."
_KEPT_PATTERN = r"^Of release (\d+); kept"

# `shape` is what CREATE OR REPLACE cannot change. `is_needed`: a table, index, trigger or view depends on it.
_FUNCTIONS = """
SELECT p.oid::regprocedure::text AS signature, n.nspname AS schema, n.nspname || '.' || p.proname AS name,
    p.pronargs - p.pronargdefaults AS arguments_min, p.pronargs AS arguments_max,
    concat_ws(' ', p.prokind, p.proretset, p.prorettype::regtype, p.proallargtypes::regtype[], p.proargmodes,
        p.proargnames, p.pronargdefaults) AS shape,
    EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid = p.oid
                                      AND d.classid <> 'pg_proc'::regclass) AS is_needed,
    substring(obj_description(p.oid, 'pg_proc') FROM $2)::integer AS kept_of,
    p.xmin::text AS version
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = ANY ($1::text[])
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                                              AND d.deptype = 'e')
"""

# The catalogue shows a trigger's function without its schema where the search path finds it; the files never do.
_TRIGGERS = r"""
SELECT regexp_replace(
    pg_get_triggerdef(pg_trigger.oid), 'EXECUTE FUNCTION [\w.]+',
    format('EXECUTE FUNCTION %s.%s', nspname, proname)) AS definition
FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE NOT tgisinternal
"""

_SAME_VIEWS = """
SELECT count(DISTINCT (pg_get_viewdef(oid), coalesce(reloptions, '{}'))) = 1
FROM pg_class WHERE oid IN ('pg_temp.trial'::regclass, $1::text::regclass)
"""


class Function(NamedTuple):
    """A function or procedure as the catalogue has it."""

    signature: str
    schema: str
    name: str
    arguments_min: int
    arguments_max: int
    shape: str
    is_needed: bool
    kept_of: int | None
    version: str


class Definition(NamedTuple):
    """A statement of a function file, written so that it replaces what is there."""

    file: str
    kind: str
    name: str
    sql: str


def read_definitions(package: Path, areas: Iterable[Area]) -> list[Definition]:
    """Return what the function files define, in order. Raises MigrationConflict for any other statement in them."""
    definitions = []
    for area in areas:
        for path in area.functions:
            file = f"{area.name}/functions/{path}"
            for statement in split((package / file).read_text(encoding="utf-8")):
                match = _DEFINITION.match(statement)
                if match is None:
                    raise MigrationConflict(
                        f"{file} has a statement that defines no function, trigger or view: {statement[:60]!r}. "
                        "Put it into a numbered migration."
                    )
                sql = re.sub(r"^CREATE (?!OR REPLACE)", "CREATE OR REPLACE ", statement)
                definitions.append(Definition(file, match[1], match[2], sql))
    return definitions


def split(sql: str) -> list[str]:
    """Return the statements of a script, without the comments around them."""
    statements, text = [], ""
    for piece in _PIECES.finditer(sql + ";"):
        if piece["end"]:
            if text := text.strip():
                statements.append(text)
            text = ""
        elif not piece["comment"]:
            text += piece[0]
    return statements


async def apply_functions(
    connection: asyncpg.Connection[asyncpg.Record],
    definitions: Sequence[Definition],
    schemas: Sequence[str],
    release: int,
    previous: int,
) -> None:
    """Make the functions those of `release`, in the caller's transaction; those there are come from `previous`."""
    definitions = [one for one in definitions if one.kind != "VIEW" or not await _is_there(connection, one)]
    old = await _functions(connection, schemas)
    new = await _defined(connection, definitions, schemas, old)
    _refuse_twins(definitions, new)
    dropped, kept = fates(old.values(), new, release, previous)
    await _drop(connection, dropped)
    for function in kept:
        await connection.execute(f"COMMENT ON ROUTINE {function.signature} IS '{_KEPT.format(previous)}'")
    for signature in new:
        if signature in old and old[signature].kept_of is not None and signature not in dropped:
            await connection.execute(f"COMMENT ON ROUTINE {signature} IS NULL")  # it is back
    triggers = {row["definition"] for row in await connection.fetch(_TRIGGERS)}
    for definition in definitions:
        # Making a trigger keeps everybody from writing to its table, so one that is there already is not made again.
        if definition.kind != "TRIGGER" or _as_catalogued(definition.sql) not in triggers:
            await _execute(connection, definition)


def fates(
    old: Iterable[Function], new: dict[str, Function], release: int, previous: int
) -> tuple[list[str], list[Function]]:
    """Return which functions must go, and which are kept from now on for the processes of `previous`."""
    dropped, kept = [], []
    for function in old:
        if function.is_needed or function.schema == _SHARED:
            continue
        successor = new.get(function.signature)
        if successor is not None:
            if successor.shape != function.shape:
                dropped.append(function.signature)
            continue
        its_release = previous if function.kept_of is None else function.kept_of
        if its_release != release - 1 or _makes_calls_ambiguous(function, new.values()):
            dropped.append(function.signature)
        elif function.kept_of is None:
            kept.append(function)
    return dropped, kept


def _makes_calls_ambiguous(function: Function, new: Iterable[Function]) -> bool:
    # Parameters come without types: between two functions that take as many, PostgreSQL cannot choose.
    return any(
        other.name == function.name
        and other.arguments_min <= function.arguments_max
        and function.arguments_min <= other.arguments_max
        for other in new
    )


async def _functions(connection: asyncpg.Connection[asyncpg.Record], schemas: Sequence[str]) -> dict[str, Function]:
    rows = await connection.fetch(_FUNCTIONS, schemas, _KEPT_PATTERN)
    return {row["signature"]: Function(**row) for row in rows}


async def _defined(
    connection: asyncpg.Connection[asyncpg.Record],
    definitions: Sequence[Definition],
    schemas: Sequence[str],
    old: dict[str, Function],
) -> dict[str, Function]:
    """Return what the definitions make, by trying: only PostgreSQL can read a signature."""
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute("SET LOCAL check_function_bodies = off")
        await _drop(connection, [f.signature for f in old.values() if not f.is_needed and f.schema != _SHARED])
        for definition in definitions:
            if definition.kind != "TRIGGER":
                await _execute(connection, definition)
        found = await _functions(connection, schemas)
    finally:
        await trial.rollback()
    # What was not written by this trial is what could not be dropped.
    return {key: one for key, one in found.items() if key not in old or one.version != old[key].version}


async def _is_there(connection: asyncpg.Connection[asyncpg.Record], view: Definition) -> bool:
    """Return whether a view is as its file has it: making it again keeps everybody from reading it until the end."""
    if await connection.fetchval("SELECT to_regclass($1) IS NULL", view.name):
        return False
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute(re.sub(r"VIEW [\w.]+", "VIEW pg_temp.trial", view.sql, count=1))
        same: bool = await connection.fetchval(_SAME_VIEWS, view.name)
    except asyncpg.PostgresError:  # it uses what is not there yet
        return False
    finally:
        await trial.rollback()
    return same


def _refuse_twins(definitions: Iterable[Definition], new: dict[str, Function]) -> None:
    names = [definition.name for definition in definitions if definition.kind in ("FUNCTION", "PROCEDURE")]
    if len(names) > len(new):
        made = Counter(function.name for function in new.values())
        twins = sorted(name for name, count in Counter(names).items() if count > made[name])
        raise MigrationConflict(f"Two function files make the same function: {', '.join(twins)}. Remove one.")


async def _drop(connection: asyncpg.Connection[asyncpg.Record], signatures: Sequence[str]) -> None:
    if signatures:
        # One statement for all, so that functions may depend on one another.
        await connection.execute(f"DROP ROUTINE {', '.join(signatures)}")


async def _execute(connection: asyncpg.Connection[asyncpg.Record], definition: Definition) -> None:
    def warn(_: object, message: asyncpg.PostgresLogMessage) -> None:
        logger.warning("%s, %s: %s", definition.file, definition.name, message)

    connection.add_log_listener(warn)
    try:
        await connection.execute(definition.sql)
    except asyncpg.PostgresError as error:
        error.add_note(f"while applying {definition.file}, {definition.name}")
        raise
    finally:
        connection.remove_log_listener(warn)


def _as_catalogued(sql: str) -> str:
    return " ".join(sql.split()).replace("CREATE OR REPLACE ", "CREATE ", 1)
