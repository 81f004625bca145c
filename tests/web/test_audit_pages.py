"""The audit's pages, and what administrators see to besides: breaches, keys, clinics, errors and back-ups."""

from __future__ import annotations

import asyncio
import csv
import inspect
import io
from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from litestar import Litestar

from healthplus.accounts.actors import Staff
from healthplus.booking.numbers import number_of
from healthplus.cli import main
from healthplus.database import Database, PostgresError, Record
from healthplus.database.server_files import as_app_role
from healthplus.ops import payment_account_commands
from healthplus.staff import log_in as staff_log_in
from healthplus.web.desk.office import audit as audit_module
from healthplus.web.desk.office.audit_texts import ACTIONS, EVENTS
from healthplus.web.desk.office.money import WHAT
from healthplus.web.languages import HOME_ZONE
from tests.fixtures.clock import move_clock, product_now
from tests.fixtures.environment import PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser
from tests.web.staff import audit_entries, goes_to, log_in, shows, words

APPEND = "SELECT staff.append_audit($1, NULL, '192.0.2.1', $2, false, $3, NULL, $4, $5, NULL, $6)"


_UNWRITTEN = r"""
SELECT action FROM unnest(staff.audit_actions()) AS action
WHERE NOT EXISTS (
    SELECT FROM pg_proc
    WHERE prosrc ~ '(append_audit|note_change)\('
        AND strpos(regexp_replace(prosrc, 'authorise\([^)]*\)', '', 'g'), quote_literal(action)) > 0)
"""


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def administrator(app: Litestar, db: Database, environment: Environment) -> Browser:
    return await log_in(app, db, "administrator", None, "nair")


@pytest.fixture
async def ward(app: Litestar, db: Database, environment: Environment) -> Browser:
    return await log_in(app, db, "ward")


async def test_filters(db: Database, administrator: Browser) -> None:
    booking = uuid4()
    await db.execute(APPEND, "staff:1", "see_booking", "one", 1, 7, booking)
    await db.execute(APPEND, "staff:9", "ask_change", "two", 2, 8, uuid4())
    await move_clock(db, days=-3)
    await db.execute(APPEND, "patient:7", "ask_change", "three", 1, 7, None)
    await move_clock(db, days=3)
    day = (await product_now(db)).astimezone(ZoneInfo(HOME_ZONE)).date()
    for query, wanted in (
        ("", {"one", "two", "three"}),
        ("who=nair", {"one"}),
        ("who=NAIR", {"one"}),
        ("who=patient:7", {"three"}),
        ("who=nobody", set()),
        ("what=ask_change", {"two", "three"}),
        ("patient=7", {"one", "three"}),
        (f"booking={number_of(booking)}", {"one"}),
        (f"booking={booking}", {"one"}),
        (f"from={day}", {"one", "two"}),
        (f"to={day - timedelta(days=1)}", {"three"}),
        (f"who=nair&what=see_booking&patient=7&from={day}&to={day}", {"one"}),
    ):
        page = await shows(administrator, f"/office/audit?{query}")
        assert {word for word in ("one", "two", "three") if f" {word} " in page} == wanted, query
    for wrong in ("patient=x", "booking=HP-1", "from=never", "patient=-1", "booking=%27"):
        assert (await administrator.get(f"/office/audit?{wrong}")).status_code == 422, wrong
    assert (await audit_entries(db, "see_audit"))[-1]["patient_id"] == 7


async def test_pages_by_keyset(db: Database, administrator: Browser) -> None:
    """Many at one instant are shown each once, in order."""
    async with db.transaction() as tx:
        for n in range(120):
            await tx.execute(APPEND, "staff:9", "ask_change", f"n{n:03}", 1, 7, None)
    seen: list[str] = []
    path: str | None = "/office/audit?what=ask_change"
    while path:
        page = await administrator.get(path)
        seen += [word for word in words(page).split() if len(word) == 4 and word[0] == "n" and word[1:].isdigit()]
        path = next((part.split('"')[0] for part in page.text.split('href="') if 'rel="next"' in part[:200]), None)
        path = path and path.replace("&amp;", "&")
    assert seen == [f"n{n:03}" for n in reversed(range(120))]


async def test_a_ward_administrator_sees_their_clinic_only(app: Litestar, db: Database, ward: Browser) -> None:
    await db.execute(APPEND, "staff:1", "ask_change", "mine", 1, 7, None)
    await db.execute(APPEND, "staff:1", "ask_change", "theirs", 2, 7, None)
    await db.execute(APPEND, "staff:1", "ask_change", "nobodys", None, 7, None)
    page = await shows(ward, "/office/1/audit?patient=7")
    assert "mine" in page
    assert "theirs" not in page
    assert "nobodys" not in page
    for path in ("/office/audit", "/office/2/audit", "/office/audit/export", "/office/2/audit/history?patient=7"):
        assert (await ward.get(path)).status_code == 403, path
    desk = await log_in(app, db, "desk")
    assert (await desk.get("/office/1/audit")).status_code == 403


async def test_a_whole_history(app: Litestar, db: Database, environment: Environment, ward: Browser) -> None:
    held = await environment.held(hour=9)
    await environment.book.confirm(PROVIDER, held, "auth_1", environment.actor("asha"))
    await environment.book.reschedule(PROVIDER, held, environment.instant(10), Staff(1))
    desk = await log_in(app, db, "desk")
    number = number_of(held)
    await desk.get(f"/desk/1/ask?number={number}")
    page = await shows(ward, f"/office/1/audit/history?booking={number}")
    order = ["Looked at an appointment", "Moved", "Booked", "Time held"]
    assert [page.index(text) for text in order] == sorted(page.index(text) for text in order)
    patient_id = environment.ids["asha"]
    page = await shows(ward, f"/office/1/audit/history?patient={patient_id}")
    assert number in page
    entries = await audit_entries(db, "see_history")
    assert [(one["patient_id"], one["booking_id"]) for one in entries] == [(patient_id, held), (patient_id, None)]
    other = await log_in(app, db, "ward", 2)
    assert "Moved" not in await shows(other, f"/office/2/audit/history?booking={number}")
    assert (await ward.get("/office/1/audit/history")).status_code == 422


async def test_an_export_is_made_a_page_at_a_time(
    db: Database, administrator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others work between its pages, and one row of the audit stands for all of it."""
    await db.execute(
        "INSERT INTO staff.audit_entry (at, actor, address, action, is_refused, detail)"
        " SELECT public.app_now() - i % 7 * interval '1 second', 'staff:9', '', 'ask_change', false, 'n' || i"
        " FROM generate_series(1, 2500) AS i"
    )
    sent: list[int] = []
    lines = audit_module._lines

    def note(rows: Iterable[Sequence[str]]) -> bytes:
        rows = list(rows)
        sent.append(len(rows))
        return lines(rows)

    monkeypatch.setattr(audit_module, "_lines", note)
    answer = await administrator.get("/office/audit/export?what=ask_change")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sorted(int(row["detail"][1:]) for row in rows) == [*range(1, 2501)]
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    assert sent == [1, 1000, 1000, 500]
    assert len(await audit_entries(db, "export_audit")) == 1
    monkeypatch.setattr(audit_module, "EXPORT_ROWS_MAX", 1500)
    answer = await administrator.get("/office/audit/export?what=ask_change")
    assert len(answer.text.splitlines()) == 1501
    assert len(await audit_entries(db, "export_audit")) == 2


async def test_a_session_takes_one_export_at_a_time(
    app: Litestar, db: Database, administrator: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.execute(APPEND, "staff:9", "ask_change", "one", 1, 7, uuid4())
    path = "/office/audit/export?what=ask_change"
    go_on, begun, after = asyncio.Event(), asyncio.Event(), audit_module._Pages.after

    async def slow(pages: audit_module._Pages, row: Record | None) -> list[Record]:
        begun.set()
        await go_on.wait()
        return await after(pages, row)

    monkeypatch.setattr(audit_module._Pages, "after", slow)
    first = asyncio.create_task(administrator.get(path))
    await begun.wait()
    assert (await administrator.get(path)).status_code == 422
    go_on.set()
    assert (await first).status_code == 200
    assert (await administrator.get(path)).status_code == 200


async def test_export(db: Database, administrator: Browser) -> None:
    await db.execute(APPEND, "staff:9", "ask_change", '=HYPERLINK("http://x")', 1, 7, uuid4())
    answer = await administrator.get("/office/audit/export?what=ask_change")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["action"], row["patient_id"]) for row in rows] == [("ask_change", "7")]
    assert rows[0]["detail"].startswith("'=")  # no formula
    assert (await audit_entries(db, "export_audit"))[-1]["detail"] == "ask_change"
    await move_clock(db, minutes=6)
    due = goes_to(await administrator.get("/office/audit/export?what=ask_change"))
    assert due == "/desk/prove?next=%2Foffice%2Faudit%2Fexport%3Fwhat%3Dask_change"
    assert (await administrator.get("/office/audit")).status_code == 200


async def test_all_that_is_noted_has_words(db: Database) -> None:
    """Every action of the audit and every event of a booking is said on the pages in words, and no other."""
    actions = await db.fetch_value("SELECT staff.audit_actions()")
    assert set(actions) ^ ACTIONS.keys() == set()
    # An action is named where it is written: by a function of the database, by the app, or by a command.
    unwritten = {row["action"] for row in await db.fetch(_UNWRITTEN)}
    of_commands = {"add_payment_account", "assign_payment_account", "remove_payment_account"}
    assert unwritten == {"unlock", "prove"} | of_commands
    for action in unwritten:
        writer = payment_account_commands if action in of_commands else staff_log_in
        assert f'"{action}"' in inspect.getsource(writer)
    with pytest.raises(PostgresError, match="audit_actions does not list see_day"):
        await db.execute(APPEND, "staff:1", "see_day", "", 1, None, None)
    kinds = await db.fetch_value("SELECT enum_range(NULL::booking.event_kind)::text[]")
    of_tickets = {"waiting", "answered", "lapsed", "left", "timed_out", "full", "withheld", "passed_over", "resumed"}
    assert set(kinds) - of_tickets - {"shift_changed", "leave_changed", "times_released"} == EVENTS.keys()


async def test_a_breach(db: Database, administrator: Browser) -> None:
    now = (await product_now(db)).astimezone(ZoneInfo(HOME_ZONE))
    known = (now - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
    form = {"known": known, "happened": "A laptop was stolen.\nIt was open.", "data": "Names, phones", "people": "120"}
    for wrong in ({"known": "2199-01-01T00:00"}, {"known": "x"}, {"happened": ""}, {"people": "many"}):
        answer = await administrator.post("/office/breaches/new", {**form, **wrong})
        assert answer.status_code == 422, wrong
        assert "Names, phones" in answer.text  # nothing typed is lost
    assert goes_to(await administrator.post("/office/breaches/new", form)) == "/office/breaches/1?done=noted"
    page = await shows(administrator, "/office/breaches/1")
    for said in ("69 hours left", "Without delay", "A laptop was stolen. It was open.", "120"):
        assert said in page, said
    told = {"kind": "board_told", "told": now.strftime("%Y-%m-%dT%H:%M"), "happened": "By e-mail"}
    assert (await administrator.post("/office/breaches/1", {**told, "told": "2199-01-01T00:00"})).status_code == 422
    assert (await administrator.post("/office/breaches/1", {**told, "told": "2020-01-01T00:00"})).status_code == 422
    assert (await administrator.post("/office/breaches/1", {"kind": "closed", "happened": "Done"})).status_code == 422
    for kind in ("board_told", "people_told", "board_reported"):
        added = await administrator.post("/office/breaches/1", {**told, "kind": kind})
        assert goes_to(added) == "/office/breaches/1?done=added"
    more = {"kind": "described", "happened": "It was found", "data": "None", "people": "", "measures": "Wiped"}
    await administrator.post("/office/breaches/1", more)
    assert goes_to(await administrator.post("/office/breaches/1", {"kind": "closed", "happened": "Done"}))
    page = await shows(administrator, "/office/breaches/1")
    assert "A laptop was stolen" in page  # the history stays
    assert "Not known yet" in page
    assert "Closed" in await shows(administrator, "/office/breaches")
    assert len(await audit_entries(db, "add_to_breach")) == 5
    assert (await administrator.get("/office/breaches/2")).status_code == 404
    assert (await administrator.post("/office/breaches/2", told)).status_code == 404


async def test_money_that_does_not_match(db: Database, administrator: Browser) -> None:
    assert "Everything matches." in await shows(administrator, "/office/money")
    add = """INSERT INTO payments.money_case (
            account, kind, name, amount_minor, currency, ours, theirs, found_at, seen_at)
        SELECT $1, $2, $3, 70000, 'INR', $4, $5, now, now FROM public.app_now() AS now RETURNING case_id"""
    lost = await db.fetch_value(add, "apollo", "unknown_here", "pay_1", "nothing", "captured")
    other = await db.fetch_value(add, "sandbox", "refund", "pay_2", "INR 0", "INR 70000")
    booking = UUID(int=7)
    await db.execute("UPDATE payments.money_case SET booking_id = $2 WHERE case_id = $1", other, booking)
    page = await shows(administrator, "/office/money")
    for said in (
        "₹700 · Money that belongs to no booking here",
        "not known",
        "taken",
        "Not as much has gone back",
        number_of(booking),
    ):
        assert said in page, said
    assert "pay_2" not in await shows(administrator, "/office/money?account=apollo")
    await db.fetch_value(add, "north", "refund", "pay_3", "INR 30000 40000", "INR 0")
    await db.fetch_value(add, "north", "settled_sum", "setl_1", "INR 100", "INR -70000")
    for kind in WHAT:
        await db.fetch_value(add, "east", kind, "pay_4", "nothing", "INR 70000")
    for path in ("/office/money?account=east", "/hi/office/money?account=east"):
        assert (await shows(administrator, path)).count("pay_4") >= len(WHAT)
    page = await shows(administrator, "/office/money?account=north")
    for said in ("₹300, ₹400 given back", "The settlement does not add up", "-₹700", "Settlement setl_1"):
        assert said in page, said
    assert "pay_1" not in await shows(administrator, "/office/money?clinic=1")
    path = f"/office/money/{lost}"
    assert goes_to(await administrator.post(f"{path}/look", {})) == "/office/money?done=looked"
    assert "is being asked" in await shows(administrator, "/office/money")
    refused = await administrator.post(f"{path}/close", {"note": " "})
    assert refused.status_code == 422
    assert goes_to(await administrator.post(f"{path}/close", {"note": "An old shop"})) == "/office/money?done=closed"
    assert goes_to(await administrator.post(f"{path}/look", {})) == "/office/money?done=over"
    assert "pay_1" not in await shows(administrator, "/office/money")
    assert "An old shop" in await shows(administrator, "/office/money?state=closed")
    assert (await administrator.post(f"/office/money/{UUID(int=1)}/look", {})).status_code == 404
    assert len(await audit_entries(db, "close_case")) == 1


async def test_what_is_late_is_said(db: Database, administrator: Browser) -> None:
    known = ((await product_now(db)) - timedelta(hours=75)).astimezone(ZoneInfo(HOME_ZONE)).strftime("%Y-%m-%dT%H:%M")
    await administrator.post("/office/breaches/new", {"known": known, "happened": "x", "data": "y"})
    assert "hours late" in await shows(administrator, "/office/breaches/1")
    assert "hours late" in await shows(administrator, "/office/breaches")


async def test_keys(app: Litestar, db: Database, administrator: Browser) -> None:
    form = {"name": "Acme", "scope_search": "1", "per_minute": "60", "per_day": "5000"}
    for wrong in (
        {"name": ""},
        {"scope_search": ""},
        {"per_minute": "0"},
        {"per_day": "x"},
        {"per_day": "10"},
        {"expires_days": "0"},
    ):
        answer = await administrator.post("/office/system/keys/new", {**form, **wrong})
        assert answer.status_code == 422, wrong
    done = await administrator.post("/office/system/keys/new", {**form, "expires_days": "30"})
    assert goes_to(done) == "/office/system/keys?done=added"
    page = await shows(administrator, "/office/system/keys?done=added")
    key = next(word for word in page.split() if word.startswith("hp_"))
    headers = {"Api-Dev-Key": key}
    browser = Browser(app)
    assert (await browser.http.get("/api/v1/doctors?q=dr", headers=headers)).status_code != 401
    assert "hp_" not in await shows(administrator, "/office/system/keys")
    key_id = await db.fetch_value("SELECT key_id FROM accounts.developer_key WHERE name = 'Acme'")
    revoke = f"/office/system/keys/{key_id}/revoke"
    assert "Revoke the key of" in words(await administrator.post(revoke))
    assert goes_to(await administrator.post(revoke, {"sure": "1"})) == "/office/system/keys?done=revoked"
    assert (await administrator.post(revoke)).status_code == 404
    assert [one["detail"] for one in await audit_entries(db, "add_key")] == [f"key {key_id}"]
    await move_clock(db, minutes=6)
    assert goes_to(await administrator.post("/office/system/keys/new", form)).startswith("/desk/prove?next=")
    assert goes_to(await administrator.post(revoke)).startswith("/desk/prove?next=")


async def test_clinics_errors_and_back_ups(db: Database, administrator: Browser, ward: Browser) -> None:
    assert "Clinic 2" in await shows(administrator, "/office/system/clinics")
    page = await shows(administrator, "/office/system/clinics?name=nic%203")
    assert "Clinic 3" in page
    assert "Clinic 2" not in page
    assert "No back-up is set up" in await shows(administrator, "/office/system")
    await db.execute("INSERT INTO backup.progress (full_at, wal_at) VALUES (app_now() - interval '3 days', app_now())")
    await db.execute(
        "INSERT INTO monitoring.error (fingerprint, hour, times, first_at, last_at, type, place, route, release) "
        "VALUES ('f', date_trunc('hour', app_now()), 7, app_now(), app_now(), 'KeyError', 'x:1', 'GET /x', 6)"
    )
    page = await shows(administrator, "/office/system")
    for said in ("3 days ago", "Too long ago", "never", "KeyError", "7 times"):
        assert said in page, said
    assert [one["actor"] for one in await audit_entries(db, "see_system")] == ["staff:1"] * 2
    for path in ("/office/system", "/office/system/keys", "/office/system/clinics", "/office/breaches"):
        assert (await ward.get(path)).status_code == 403, path


async def test_the_command_lists_breaches(dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    monkeypatch.setenv("DATABASE_OWNER_URL", dsn)
    await db.execute(
        "SELECT staff.note_breach(app_now() - interval '3 hours', 'staff:1', 'A laptop was stolen', 'Names', 5, '')"
    )
    done = await asyncio.to_thread(CliRunner().invoke, main, ["breach", "list"])
    assert done.exit_code == 0, done.output
    assert "A laptop was stolen" in done.output
    assert "68 hours left" in done.output
