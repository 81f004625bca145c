"""Faults are told apart by what went wrong where, and counted; what people typed is in none of them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from healthplus.database import Database, PostgresError, repeat
from healthplus.errors import DatabaseUnreachable
from healthplus.monitoring import faults as module
from healthplus.monitoring.faults import KINDS_MAX, Fault, Faults
from healthplus.monitoring.reporter import Reporter, queries
from tests.e2e.test_logs import CARD, NATIONAL, STRAY_CODE, STRAY_TOKEN, hits
from tests.fixtures.clock import move_clock

SECRETS = {NATIONAL, CARD, STRAY_CODE, STRAY_TOKEN}
logger = logging.getLogger("healthplus.of.tests")


@pytest.fixture
async def reporter(db: Database) -> AsyncIterator[Reporter]:
    reporter = Reporter(db, {"requests": db})
    async with reporter.listening():
        yield reporter


async def rows(db: Database) -> list[dict[str, Any]]:
    return [dict(row) for row in await db.fetch(queries.errors, 7)]


async def fail(db: Database, text: str) -> None:
    """Have PostgreSQL refuse something, with a text that quotes what was typed; log that as a task does."""
    try:
        await db.execute("SELECT $1::text::integer", text)
    except PostgresError:
        logger.exception("this could not be done", extra={"route": "background: this could not be done"})


async def test_what_was_typed_is_in_no_row(
    db: Database, reporter: Reporter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = f"+91{NATIONAL} {CARD} {STRAY_CODE} {STRAY_TOKEN}"
    await fail(db, secret)
    assert {canary for canary, _ in hits({"log": caplog.text}, SECRETS)} == SECRETS  # the error's text quotes all of it
    await reporter.write_faults()
    (row,) = await rows(db)
    assert hits({"row": str(row)}, SECRETS) == []
    assert row["type"] == "asyncpg.exceptions.NumericValueOutOfRangeError"
    assert row["place"].split(" < ")[-1] == "database/pool.py:_Runner.execute"
    assert (row["times"], row["route"]) == (1, "background: this could not be done")

    # Were the text kept, the same search would find it.
    def with_text(record: logging.LogRecord) -> Fault:
        assert record.exc_info
        return Fault("mutant", "X", str(record.exc_info[1]), "", None)

    monkeypatch.setattr(module, "_fault_of", with_text)
    await fail(db, secret)
    await reporter.write_faults()
    assert {canary for canary, _ in hits({"rows": str(await rows(db))}, SECRETS)} == SECRETS


async def test_a_storm_of_faults_is_a_few_rows(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    writes = 0
    execute = Database.execute

    async def counted(self: Database, sql: str, *args: object) -> str:
        nonlocal writes
        writes += sql == queries.note_errors
        return await execute(self, sql, *args)

    monkeypatch.setattr(Database, "execute", counted)
    new: list[Fault] = []
    reporter = Reporter(db, {}, (), new.append)
    async with reporter.listening():
        for number in range(10_000):
            try:
                raise ValueError(number)
            except ValueError:
                if number % 2:
                    logger.exception("one %d", number)
                else:
                    logger.error("another %d", number)  # noqa: TRY400 - one without an error
        await reporter.write_faults()
    assert writes == 1
    assert sorted(row["times"] for row in await rows(db)) == [5000, 5000]
    assert len(new) == 2


async def test_many_kinds_are_not_more_rows_than_are_told_apart(db: Database, reporter: Reporter) -> None:
    for number in range(KINDS_MAX + 50):
        kind: type[Exception] = type(f"Fault{number}", (Exception,), {})
        try:
            raise kind
        except Exception:
            logger.exception("it failed")
    await reporter.write_faults()
    found = {row["fingerprint"]: row["times"] for row in await rows(db)}
    assert len(found) == KINDS_MAX + 1
    assert found["others"] == 50


async def test_faults_wait_for_a_database_that_is_away(
    db: Database, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> str:
        raise DatabaseUnreachable

    with monkeypatch.context() as patch:
        patch.setattr(Database, "execute", refuse)
        for _ in range(3):
            logger.error("it failed")
            with pytest.raises(DatabaseUnreachable):
                await reporter.write_faults()
    await reporter.write_faults()
    await reporter.write_faults()
    assert [row["times"] for row in await rows(db)] == [3]


async def test_hours_add_up_and_the_latest_is_shown(db: Database, reporter: Reporter) -> None:
    logger.error("it failed")
    await reporter.write_faults()
    await move_clock(db, hours=5)
    logger.error("it failed")
    logger.error("it failed")
    await reporter.write_faults()
    (row,) = await rows(db)
    assert row["times"] == 3
    assert row["last_at"] - row["first_at"] > timedelta(hours=4)
    assert await db.fetch_value("SELECT count(*) FROM monitoring.error") == 2
    await move_clock(db, days=8)
    assert await rows(db) == []


async def test_faults_of_background_tasks_are_there_with_the_task(db: Database, reporter: Reporter) -> None:
    class Enough(BaseException):
        pass

    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        if tries > 2:
            raise Enough
        raise KeyError(NATIONAL)

    with pytest.raises(Enough):
        await repeat(work, 0, "the work could not be done")
    await reporter.write_faults()
    (row,) = await rows(db)
    assert (row["times"], row["type"]) == (2, "KeyError")
    assert row["route"] == "background: the work could not be done"
    assert row["place"] == "database/repeating.py:repeat"


def test_a_fault_is_told_apart_by_its_type_and_our_functions_and_not_by_its_text_or_line() -> None:
    found = Faults()
    log = logging.Logger("x")
    log.addHandler(found)

    def fail_at(text: str) -> None:
        try:
            module._places(None)[7 if text else 8]
        except IndexError:
            log.exception(text)

    fail_at("one")
    fail_at("two")
    assert [one.times for one in found.take()] == [2]
    assert found.take() == []
