"""What the operator's one screen says, and when it says that somebody is needed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from healthplus.accounts.actors import Patient
from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.monitoring import figures
from healthplus.monitoring.figures import Figures, read_figures
from healthplus.monitoring.reporter import Reporter, queries
from healthplus.monitoring.status import Status, lines_of, read_status
from healthplus.settings import Settings
from tests.fixtures.clock import move_clock
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.fixtures.terms import set_terms


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    return Settings(database_url=as_app_role(dsn), data_folder=tmp_path, allow_unsafe_commits=True)


async def seen(settings: Settings) -> Status:
    return await read_status(settings, settings.database_url or "")


def shown(status: Status) -> str:
    return "\n".join(f"{name} {text}" for name, text, _ in lines_of(status))


async def test_all_is_well_where_a_process_lives(settings: Settings, db: Database) -> None:
    before = await seen(settings)
    (fault,) = before.faults
    assert fault.startswith("Bookings cannot be made: No app process has said in the last 30 seconds that it lives;")
    reporter = Reporter(db, {"requests": db})
    async with reporter.listening():
        await reporter.write()
        now = await seen(settings)
        assert (now.faults, now.reasons, len(now.processes)) == ([], [], 1)
        assert not any(is_red for _, _, is_red in lines_of(now))
        assert "can be made" in shown(now)
        await move_clock(db, seconds=40)
        assert len((await seen(settings)).faults) == 1  # it was killed, and could say nothing
        await reporter.write()
    assert len((await seen(settings)).processes) == 0  # it said that it ends


async def test_held_queued_and_late_is_counted(settings: Settings, environment: Environment, db: Database) -> None:
    held = await environment.held(ONLINE, 9, "asha")
    window = environment.instant(9), environment.instant(9, 30)
    joined = await environment.book.join_queue(
        PROVIDER, ONLINE, *window, 1, environment.ids["bina"], environment.actor("bina")
    )
    assert joined.code == "waiting"
    book = (await seen(settings)).book
    assert (book["holds"], book["offers"], book["waiting"], book["queues"], book["lag_seconds"]) == (1, 0, 1, 1, 0)
    await environment.pass_time(seconds=305 + 45)
    late = await seen(settings)
    assert late.book["holds"] == 0
    assert 44 < late.book["lag_seconds"] < 60
    assert "Holds end late." in late.faults
    await environment.book.resume(PROVIDER, joined.ticket_id, environment.actor("bina"))
    await environment.book.advance(PROVIDER)
    now = (await seen(settings)).book
    assert (now["holds"], now["offers"], now["waiting"], now["lag_seconds"]) == (0, 1, 0, 0)
    assert held


async def pay(environment: Environment, hour: int, name: str) -> Any:
    held = await environment.held(ONLINE, hour, name)
    actor = environment.actor(name)
    assert (await environment.book.confirm(PROVIDER, held, f"money of {name}", actor)).code == "booked"
    return held


async def test_money_is_due_since_it_was_paid_or_cancelled(
    settings: Settings, environment: Environment, db: Database
) -> None:
    held = await pay(environment, 9, "asha")
    await environment.pass_time(seconds=599)
    (due,) = (await seen(settings)).money_due
    assert (due["step"], due["currency"], due["payments"], due["amount_minor"]) == ("capture", "INR", 1, 50000)
    assert 599 <= due["oldest_seconds"] < 660
    await environment.pass_time(seconds=60)
    red = await seen(settings)
    assert [fault for fault in red.faults if "Money" in fault] == [
        "Money is due at the gateway (capture, INR) for more than ten minutes."
    ]
    await note(db, held, "captured")
    assert (await seen(settings)).money_due == []
    await environment.pass_time(hours=20)
    await environment.book.cancel(PROVIDER, held, Patient(environment.ids["asha"]))
    (due,) = (await seen(settings)).money_due
    assert (due["step"], due["amount_minor"], due["oldest_seconds"] < 60) == ("refund", 50000, True)


async def test_what_is_kept_is_not_due_and_not_counted_as_refunded(
    settings: Settings, environment: Environment, db: Database
) -> None:
    await set_terms(db, ONLINE, {8784: "30%"})
    held = await pay(environment, 9, "asha")
    await environment.book.cancel(PROVIDER, held, Patient(environment.ids["asha"]))
    (due,) = (await seen(settings)).money_due
    assert (due["step"], due["amount_minor"]) == ("capture", 50000)  # a gateway captures the whole
    await note(db, held, "captured")
    await environment.pass_time(minutes=11)
    red = await seen(settings)
    (due,) = red.money_due
    assert (due["step"], due["amount_minor"], 659 <= due["oldest_seconds"] < 720) == ("refund", 35000, True)
    assert any("Money is due at the gateway (refund, INR)" in fault for fault in red.faults)
    await note(db, held, "refunded")
    await environment.pass_time(minutes=3)
    await db.fetch_value(queries.count_money)
    assert await totals(db) == {"authorised": (1, 50000), "captured": (1, 50000), "refunded": (1, 35000)}
    assert (await seen(settings)).money_due == []


async def test_a_part_that_goes_back_is_due_and_counted(
    settings: Settings, environment: Environment, db: Database
) -> None:
    held = await pay(environment, 9, "asha")
    await note(db, held, "captured")
    assert await db.fetch_value(
        """SELECT ledger.order_part($1, $2, 12000, 'staff:1', now, now + interval '1 minute')
        FROM public.app_now() AS now""",
        *(PROVIDER, held),
    )
    assert (await seen(settings)).money_due == []  # until then it can be taken back
    await environment.pass_time(minutes=2)
    (due,) = (await seen(settings)).money_due
    assert (due["step"], due["payments"], due["amount_minor"], due["currency"]) == ("refund", 1, 12000, "INR")
    assert 60 <= due["oldest_seconds"] < 120
    await db.execute(
        "UPDATE ledger.refund SET state = 'processed', name = 'r', next_at = NULL, processed_at = public.app_now()"
    )
    assert (await seen(settings)).money_due == []
    await environment.pass_time(minutes=3)
    await db.fetch_value(queries.count_money)
    assert await totals(db) == {"authorised": (1, 50000), "captured": (1, 50000), "refunded": (1, 12000)}
    # The rest goes back when the booking ends, and only the rest is due and counted.
    await environment.book.cancel(PROVIDER, held, Patient(environment.ids["asha"]))
    (due,) = (await seen(settings)).money_due
    assert (due["step"], due["amount_minor"]) == ("refund", 38000)
    await note(db, held, "refunded")
    await environment.pass_time(minutes=3)
    await db.fetch_value(queries.count_money)
    assert (await totals(db))["refunded"] == (2, 50000)


async def note(db: Database, hold: Any, state: str) -> None:
    await db.execute(
        """SELECT count(*) FROM ledger.payment, ledger.advance_payments(ARRAY[payment.provider_id], ARRAY[hold_id],
            ARRAY[authorisation], ARRAY[$2::text::ledger.payment_state], 'answer', public.app_now())
        WHERE hold_id = $1""",
        hold,
        state,
    )


async def totals(db: Database) -> dict[str, tuple[int, int]]:
    return {row["state"]: (row["payments"], row["amount_minor"]) for row in await db.fetch(queries.money_totals)}


async def test_money_is_counted_once_however_often_it_is_counted(environment: Environment, db: Database) -> None:
    first = await pay(environment, 9, "asha")
    assert await db.fetch_value(queries.count_money) is False
    assert await totals(db) == {}  # what is younger than two minutes may still be under way
    await environment.pass_time(minutes=2, seconds=1)
    for _ in range(3):
        await db.fetch_value(queries.count_money)
        assert await totals(db) == {"authorised": (1, 50000)}
    await note(db, first, "captured")
    second = await pay(environment, 10, "bina")
    await environment.book.cancel(PROVIDER, second, environment.actor("bina"))
    await note(db, second, "voided")
    await environment.pass_time(minutes=3)
    await asyncio.gather(*(db.fetch_value(queries.count_money) for _ in range(8)))
    await db.fetch_value(queries.count_money)
    counted = {"authorised": (2, 100000), "captured": (1, 50000), "voided": (1, 50000)}
    assert await totals(db) == counted
    await environment.pass_time(days=40)
    rounds = 0
    while await db.fetch_value(queries.count_money):
        rounds += 1
    assert (rounds, await totals(db)) == (5, counted)  # a week at a time
    assert counted == {
        row["state"]: (row["payments"], row["minor"])
        for row in await db.fetch(
            "SELECT state::text, count(*) AS payments, sum(amount_minor) AS minor FROM ledger.entry GROUP BY state"
        )
    }


@pytest.mark.breaks_invariants  # there are no bookings for this money
async def test_counting_reads_the_last_minutes_alone(db: Database) -> None:
    """However many payments there are; without its index it would read them all."""
    await db.execute(
        """INSERT INTO ledger.payment (provider_id, hold_id, booking_id, authorisation, amount_minor, currency, at,
            authorised_at, authorised_source)
        SELECT 1, hold, hold, 'x' || n, 100, 'INR', at, at, 'answer'
        FROM generate_series(1, 30000) AS n, public.app_now() AS now_at, LATERAL (
            SELECT gen_random_uuid() AS hold, now_at + (n - 30001) * interval '1 minute' AS at) AS made"""
    )
    await db.execute("VACUUM ANALYZE ledger.payment")
    while await db.fetch_value(queries.count_money):
        pass
    assert (await totals(db))["authorised"] == (29999, 2999900)  # the last is a minute old
    await move_clock(db, minutes=2)

    async def scans() -> tuple[int, int]:
        """Count once more; return how often the table was read whole meanwhile, and how many rows by an index."""
        sql = "SELECT seq_scan, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'ledger.payment'::regclass"
        async with db.transaction() as transaction:
            before = await transaction.fetch_row(sql)
            await transaction.fetch_value(queries.count_money)
            after = await transaction.fetch_row(sql)
        assert before is not None
        assert after is not None
        return after[0] - before[0], after[1] - before[1]

    whole, rows = await scans()
    assert whole == 0
    assert rows < 30000 / 4
    assert (await totals(db))["authorised"] == (30000, 3000000)
    await db.execute("DROP INDEX ledger.payment_times")
    await move_clock(db, minutes=2)
    assert (await scans())[0] > 0


@pytest.mark.parametrize(
    ("full_hours", "wal_seconds", "proven_hours", "problem", "faults"),
    [
        (25.9, 55, 25.9, None, []),
        (26.1, 5, 1, None, ["There is no full back-up of the last 26 hours."]),
        (1, 65, 1, None, ["For more than a minute, what was written has not reached the back-up."]),
        (1, 5, 26.1, None, ["Restoring a back-up was not proven in the last 26 hours."]),
        (1, 5, 1, "a file is damaged", ["The last rehearsal of a restore failed: a file is damaged"]),
    ],
)
async def test_a_back_up_that_is_late_or_unproven_is_a_fault(
    settings: Settings,
    db: Database,
    full_hours: float,
    wal_seconds: float,
    proven_hours: float,
    problem: str | None,
    faults: list[str],
) -> None:
    await db.execute(
        """INSERT INTO backup.progress (full_at, wal_at)
        VALUES (public.app_now() - make_interval(secs => $1), public.app_now() - make_interval(secs => $2))""",
        full_hours * 3600,
        wal_seconds,
    )
    rehearsal = """INSERT INTO backup.restore_rehearsal (at, rpo_seconds, rto_seconds, problem)
        VALUES (public.app_now() - make_interval(secs => $1), 3, 12, $2)"""
    await db.execute(rehearsal, proven_hours * 3600, None)
    if problem is not None:
        await db.execute(rehearsal, 60.0, problem)
    reporter = Reporter(db, {})
    async with reporter.listening():
        await reporter.write()
        status = await seen(settings)
    assert status.faults == faults
    assert len([text for _, text, is_red in lines_of(status) if is_red]) == len(faults)
    assert "3 s would have been lost, and restoring took 12 s" in shown(status)


@pytest.mark.breaks_invariants
async def test_a_table_that_is_gone_is_a_fault_that_is_told(settings: Settings, db: Database) -> None:
    await db.execute("ALTER TABLE booking.ticket RENAME TO gone")
    try:
        status = await seen(settings)
        assert any("docs/operate.md, A table was dropped" in fault for fault in status.faults)
        told = await asyncio.to_thread(CliRunner().invoke, main, ["check"], env={"DATABASE_URL": settings.database_url})
        assert (told.exit_code, "somebody removed it" in told.output) == (1, True)
    finally:
        await db.execute("ALTER TABLE booking.gone RENAME TO ticket")


async def test_a_back_up_that_was_never_made_is_a_fault_only_where_one_is_wanted(
    settings: Settings, db: Database, tmp_path: Path
) -> None:
    reporter = Reporter(db, {})
    async with reporter.listening():
        await reporter.write()
        assert (await seen(settings)).faults == []
        assert len((await seen(replace(settings, backup_folder=tmp_path))).faults) == 3


async def test_figures_are_read_again_only_when_they_are_old(
    settings: Settings, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0

    async def counted(database: Database, settings: Settings) -> figures.Read:
        nonlocal reads
        reads += 1
        return await read_figures(database, settings)

    monkeypatch.setattr(figures, "read_figures", counted)
    found = Figures(replace(settings, database_folder=settings.data_folder))
    try:
        await asyncio.gather(*(found.read() for _ in range(10)))
        assert reads == 1
        monkeypatch.setattr(figures, "FRESH_SECONDS", 0.0)
        names = {metric.name for metric in await found.read()}
        assert reads == 2
        assert {"healthplus_holds", "healthplus_payments_due", "healthplus_disk_free_bytes"} <= names
    finally:
        await found.close()
    away = Figures(replace(settings, database_url="postgresql://x@127.0.0.1:9/x"))
    assert {metric.name: metric.samples[0].value for metric in await away.read()}["healthplus_database_up"] == 0


def test_commands_say_so_where_there_is_no_database(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": "postgresql://x@127.0.0.1:9/x", "HEALTHPLUS_DATA": str(tmp_path)}
    done = CliRunner().invoke(main, ["status", "--json"], env=environment)
    assert done.exit_code == 1
    assert len(json.loads(done.stdout)["faults"]) == 1
    assert CliRunner().invoke(main, ["status"], env=environment).exit_code == 1


def test_errors_are_listed_with_what_leads_to_them(dsn: str, tmp_path: Path) -> None:
    environment = {"DATABASE_URL": as_app_role(dsn), "HEALTHPLUS_DATA": str(tmp_path)}
    run = CliRunner()
    assert run.invoke(main, ["errors"], env=environment).stdout == "No faults in the last 7 days.\n"
    assert run.invoke(main, ["errors", "--json"], env=environment).stdout == "[]\n"

    async def fail() -> None:
        async with await Database.connect(dsn, 1, 1) as db:
            fault = [["f1"], [3], ["KeyError"], ["web/x.py:y"], ["GET /x"], ["abc-1"]]
            await db.execute(queries.note_errors, *fault, 4)

    asyncio.run(fail())
    text = run.invoke(main, ["errors"], env=environment).stdout
    for part in ("3 x", "KeyError", "GET /x", "abc-1", "release 4", "web/x.py:y"):
        assert part in text
    (row,) = json.loads(run.invoke(main, ["errors", "--json"], env=environment).stdout)
    assert (row["times"], row["request_id"], row["fingerprint"]) == (3, "abc-1", "f1")
