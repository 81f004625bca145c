"""From a day sheet's row: a ward administrator moves, cancels, refunds and corrects, the desk asks; taking it back."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from healthplus.accounts.actors import Staff
from healthplus.database import Database
from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.notices.sending import SITE, Recorder, notices, sweep_all
from tests.web.client import Browser
from tests.web.staff import audit_entries, goes_to, hidden, log_in, shows, words

pytestmark = pytest.mark.dates


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
async def booking(environment: Environment) -> UUID:
    """An appointment of Asha's, at nine, paid online."""
    held = await environment.held(hour=9)
    assert (await environment.book.confirm(PROVIDER, held, "auth_1", environment.actor("asha"))).code == "booked"
    return held


@pytest.fixture
async def ward(app: Litestar, db: Database, booking: UUID) -> Browser:
    return await log_in(app, db, "ward")


@pytest.fixture
def sheet(environment: Environment) -> str:
    return f"/desk/{ONLINE}/{environment.instant(9).date()}"


@pytest.fixture
def visit(sheet: str, booking: UUID) -> str:
    return f"{sheet}/visit/{booking}"


async def change(browser: Browser, visit: str, how: str = "change", **form: str) -> httpx.Response:
    """Open the page of a change, and send its form."""
    seen = hidden(await browser.get(visit), "seen")
    return await browser.post(f"{visit}/{how}", {"seen": seen, "reason": "x", **form})


async def take_back(browser: Browser, visit: str) -> httpx.Response:
    """Press the key for it, on the sheet."""
    sheet, _, booking = visit.partition("/visit/")
    return await browser.post(sheet, {"provider": str(PROVIDER), "do": f"undo {booking}"})


async def now_is(db: Database) -> tuple[str, datetime]:
    row = await db.fetch_row("SELECT state::text, lower(during) FROM booking.booking")
    assert row is not None
    return tuple(row)


async def test_moving_and_taking_it_back(
    ward: Browser, sheet: str, visit: str, booking: UUID, environment: Environment, db: Database
) -> None:
    page = await ward.get(sheet)
    assert f'href="{visit}"' in page.text
    page = await ward.get(f"{visit}?do=move")
    assert re.search(r'name="start" value="[^"]+" checked autofocus', page.text)
    ten = environment.instant(10)
    moved = goes_to(await change(ward, visit, kind="move", start=ten.isoformat()))
    assert moved.startswith(f"{sheet}?changed=move&about={booking}&undo={PROVIDER}&seen=")
    assert await now_is(db) == ("booked", ten)
    page = await ward.get(moved)
    pressed = re.findall(rf'value="undo {booking} ([^"]+Z)"', page.text)
    assert len(pressed) == 2  # in the notice, and on the row
    assert len(set(pressed)) == 1
    assert goes_to(await take_back(ward, visit)) == f"{sheet}?done=undo&about={booking}#visit-{booking}"
    assert await now_is(db) == ("booked", environment.instant(9))
    again = await take_back(ward, visit)
    assert again.status_code == 409
    assert "was not undone" in words(again)
    noted = [*await audit_entries(db, "change_booking"), *await audit_entries(db, "undo_attendance")]
    assert [(row["detail"], row["is_refused"]) for row in noted] == [
        ("move: x", False),
        ("undone", False),
        ("too_late", True),
    ]
    history = await shows(ward, f"{visit}/history")
    # Each once, by the event, with the reason; what was refused, too.
    assert re.search(
        "asha .*Took back what was recorded Refused three .*Moved back .*Moved before: .* “x”.*Booked",
        history,
    )
    assert history.count("Took back what was recorded") == 1
    assert "Changed an appointment" not in history


async def test_what_is_not_possible_is_not_replaced_by_something_that_is(
    ward: Browser, visit: str, environment: Environment, booking: UUID
) -> None:
    for kind, why in (("refund", "A refund comes after the visit"), ("correct", "Nobody has recorded yet who came")):
        page = await ward.get(f"{visit}?do={kind}")
        assert why in words(page)
        assert f'action="{visit}/change"' not in page.text
        assert f'href="{visit}?do=move"' in page.text
    # Where nothing was asked for, Enter does nothing.
    assert "autofocus" not in (await ward.get(visit)).text
    assert (await environment.book.cancel(PROVIDER, booking, environment.actor("asha"))).code == "cancelled"
    assert "This appointment is cancelled" in words(await ward.get(f"{visit}?do=move"))
    assert "This appointment is cancelled" in words(
        await ward.post(f"{visit}/change", {"kind": "cancel", "seen": "", "reason": "x"})
    )


async def test_every_free_time_can_be_reached(ward: Browser, visit: str, environment: Environment) -> None:
    def offered(page: httpx.Response) -> list[datetime]:
        return [datetime.fromisoformat(at) for at in re.findall(r'name="start" value="([^"]+)"', page.text)]

    nine = environment.instant(9)
    page = await ward.get(f"{visit}?do=move")
    starts = offered(page)
    assert min(starts) > nine
    seen = set(starts)
    while starts:
        assert len(starts) <= 24
        later = re.search(rf'href="{visit}(\?do=move[^"]+)" data-page-key="0"', page.text)
        assert later
        page = await ward.get(visit + later[1].replace("&amp;", "&"))
        starts = offered(page)
        assert not seen & set(starts)
        seen |= set(starts)
    assert "Nothing is free in the 14 days from" in words(page)
    ten = environment.instant(10)
    moved = await change(ward, visit, kind="move", start=ten.isoformat())
    assert goes_to(moved)
    # An earlier time, too, by its day.
    page = await ward.get(f"{visit}?do=move&on={ten.date()}")
    assert nine in offered(page)
    assert ten not in offered(page)
    assert (await ward.get(f"{visit}?do=move&on=9999-12-31&from=x")).status_code == 200


async def test_what_begins_soon_is_not_said_to_be_taken_back(
    app: Litestar, visit: str, environment: Environment, db: Database, booking: UUID
) -> None:
    ward = await log_in(app, db, "ward")
    assert "You can take it back for three minutes" in await shows(ward, f"{visit}?do=cancel")
    await environment.pass_until(environment.instant(7, 30))
    ward = await log_in(app, db, "ward", ONLINE, "ward.two")
    page = await shows(ward, f"{visit}?do=cancel")
    assert "The patient is told at once. This cannot be taken back." in page
    assert "three minutes" not in page
    assert "undo=" not in goes_to(await change(ward, visit, kind="cancel"))


async def test_a_stale_page_changes_nothing_and_keeps_the_choice(
    ward: Browser, visit: str, booking: UUID, environment: Environment, db: Database
) -> None:
    seen = hidden(await ward.get(visit), "seen")
    asha = environment.actor("asha")
    assert (await environment.book.reschedule(PROVIDER, booking, environment.instant(10), asha)).code == "moved"
    form = {"kind": "move", "start": environment.at(11), "seen": seen, "reason": "She called"}
    answer = await ward.post(f"{visit}/change", form)
    assert answer.status_code == 409
    assert "somebody changed this appointment meanwhile" in words(answer)
    assert f'value="{environment.at(11)}" checked' in answer.text
    assert 'value="She called"' in answer.text
    assert await now_is(db) == ("booked", environment.instant(10))
    # What stands there now is what the form is about.
    assert goes_to(await ward.post(f"{visit}/change", {**form, "seen": hidden(answer, "seen")}))


async def test_of_a_time_that_was_taken_is_said_what_the_ward_can_do(
    ward: Browser, visit: str, environment: Environment
) -> None:
    taken = await environment.held(hour=10, name="bina")
    assert (await environment.book.confirm(PROVIDER, taken, "auth_2", environment.actor("bina"))).code == "booked"
    answer = await change(ward, visit, kind="move", start=environment.at(10))
    assert answer.status_code == 409
    assert "This time was taken meanwhile. Choose another." in words(answer)
    assert "Refuse it" not in words(answer)


async def test_two_wards_at_once(
    app: Litestar, ward: Browser, visit: str, sheet: str, environment: Environment, db: Database
) -> None:
    """One wins; the other is told what happened."""
    other = await log_in(app, db, "ward", ONLINE, "ward.two")
    seen = hidden(await ward.get(visit), "seen")
    answers = await asyncio.gather(
        *(
            browser.post(f"{visit}/change", {"kind": "move", "start": at, "seen": seen, "reason": "x"})
            for browser, at in ((ward, environment.at(10)), (other, environment.at(11)))
        )
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    winner, loser = (0, 1) if answers[0].status_code == 303 else (1, 0)
    assert await now_is(db) == ("booked", environment.instant((10, 11)[winner]))
    assert f"{(10, 11)[winner]}:00" in words(answers[loser])
    assert (await take_back((ward, other)[loser], visit)).status_code == 409
    assert goes_to(await take_back((ward, other)[winner], visit))


async def test_refunds_of_two_at_once(
    app: Litestar, visit: str, booking: UUID, environment: Environment, db: Database
) -> None:
    await environment.pass_until(environment.instant(9, 5))
    assert (await environment.book.attend(PROVIDER, booking, "arrived", Staff(9))).code == "arrived"
    other = await log_in(app, db, "ward", ONLINE, "ward.two")
    mine = await log_in(app, db, "ward", ONLINE, "ward.three")
    assert re.search(r'name="amount" value="500"', (await mine.get(f"{visit}?do=refund")).text)
    seen = hidden(await mine.get(f"{visit}?do=refund"), "seen")
    form = {"kind": "refund", "seen": seen, "reason": "Doctor was called away"}
    answers = await asyncio.gather(*(one.post(f"{visit}/change", form) for one in (mine, other)))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    assert await db.fetch_value("SELECT funding::text FROM booking.booking") == "free"
    kinds = await db.fetch("SELECT kind FROM booking.event WHERE kind = 'refunded'")
    assert len(kinds) == 1


async def test_a_part_goes_back_and_two_desks_do_not_both_give_it(
    app: Litestar, visit: str, booking: UUID, environment: Environment, db: Database
) -> None:
    await db.execute("SELECT payments.advance_payment(payment, 'captured', 'answer', app_now()) FROM ledger.payment")
    await environment.pass_until(environment.instant(9, 5))
    assert (await environment.book.attend(PROVIDER, booking, "arrived", Staff(9))).code == "arrived"
    browsers = [await log_in(app, db, "ward", ONLINE, name) for name in ("ward.two", "ward.three")]
    one = browsers[0]
    for amount, said in (
        ("", "An amount"),
        ("x", "An amount such as"),
        ("0", "This is needed"),
        ("501", "not so much"),
    ):
        wrong = await change(one, visit, kind="refund", amount=amount or "-1")
        assert (wrong.status_code in (409, 422), said in words(wrong)) == (True, True), said
    seen = hidden(await one.get(f"{visit}?do=refund"), "seen")
    form = {"kind": "refund", "seen": seen, "reason": "No X-ray", "amount": "120.50"}
    answers = await asyncio.gather(*(browser.post(f"{visit}/change", form) for browser in browsers))
    assert sorted(answer.status_code for answer in answers) == [303, 409]
    winner = browsers[[answer.status_code for answer in answers].index(303)]
    assert "379.50" in words(await winner.get(f"{visit}?do=refund"))
    rows = await db.fetch("SELECT amount_minor, why, state::text FROM ledger.refund")
    assert [tuple(row) for row in rows] == [(12050, "desk", "ordered")]
    assert await db.fetch_value("SELECT state || ' ' || funding FROM booking.booking") == "arrived online"
    timeline = words(await winner.get(f"{visit}/money"))
    assert "Refund ordered: ₹120.50" in timeline
    assert "can be taken back" in timeline
    assert "₹120.50" in await shows(winner, f"{visit}/history")
    assert goes_to(await take_back(winner, visit))
    assert await db.fetch_value("SELECT state::text FROM ledger.refund") == "withdrawn"
    assert "Refund ordered" not in words(await winner.get(f"{visit}/money"))


async def test_a_row_has_one_undo_that_takes_back_what_came_last(
    app: Litestar, visit: str, sheet: str, booking: UUID, environment: Environment, db: Database
) -> None:
    await environment.pass_until(environment.instant(9, 5))
    ward = await log_in(app, db, "ward", ONLINE, "ward.two")
    assert goes_to(await ward.post(sheet, {"provider": str(PROVIDER), "do": f"arrive {booking}"}))
    assert goes_to(await change(ward, visit, kind="refund"))
    assert (await ward.get(sheet)).text.count('data-key="u"') == 1
    assert goes_to(await take_back(ward, visit))
    assert await db.fetch_value("SELECT state || ' ' || funding FROM booking.booking") == "arrived online"
    assert goes_to(await take_back(ward, visit))
    assert (await now_is(db))[0] == "booked"
    assert 'data-key="u"' not in (await ward.get(sheet)).text


async def test_the_desk_asks(
    app: Litestar, ward: Browser, visit: str, sheet: str, booking: UUID, environment: Environment, db: Database
) -> None:
    desk = await log_in(app, db, "desk")
    assert (await desk.post(f"{visit}/change", {"kind": "cancel"})).status_code == 403
    assert goes_to(await change(desk, visit, "ask", kind="cancel")) == f"{sheet}?changed=asked&about={booking}"
    assert await now_is(db) == ("booked", environment.instant(9))
    page = await shows(desk, visit)
    assert "Asked" in page
    assert "A ward administrator confirms or refuses it" in await shows(desk, f"{sheet}?changed=asked")
    # A stale page asks for nothing, either.
    seen = hidden(await desk.get(visit), "seen")
    await environment.book.reschedule(PROVIDER, booking, environment.instant(10), Staff(9))
    form = {"kind": "move", "start": environment.at(11), "seen": seen, "reason": "x"}
    assert (await desk.post(f"{visit}/ask", form)).status_code == 409
    assert len(await db.fetch("SELECT FROM staff.ask WHERE kind = 'move'")) == 0
    assert "Moved" in await shows(desk, f"{visit}/history")


async def test_what_is_wrong_is_said_by_its_field(ward: Browser, visit: str, environment: Environment) -> None:
    answer = await change(ward, visit, kind="move", start="", reason="")
    assert answer.status_code == 422
    assert "Choose a time." in words(answer)
    for form in ({"kind": "x"}, {"kind": "correct", "state": "y"}, {"kind": "move", "start": "9999-12-31T23:59:59"}):
        assert (await change(ward, visit, **form)).status_code == 422, form
    for seen in ("", "booked", "booked nan online", "booked 1e400 online", "a b c d"):
        form = {"kind": "cancel", "seen": seen, "reason": "x"}
        assert (await ward.post(f"{visit}/change", form)).status_code == 409, seen
    elsewhere = f"{visit[:-36]}{UUID(int=1)}"
    for path in (elsewhere, f"{elsewhere}/history"):
        assert (await ward.get(path)).status_code == 404
    assert (await take_back(ward, elsewhere)).status_code == 404


async def test_the_desk_texts_a_link_by_which_the_patient_moves_it(
    app: Litestar, visit: str, sheet: str, booking: UUID, environment: Environment, db: Database
) -> None:
    desk = await log_in(app, db, "desk")
    assert 'name="kind" value="link"' in (await desk.get(f"{visit}?do=move")).text
    refused = await desk.post(f"{visit}/ask", {"kind": "link"})
    assert refused.status_code == 409
    assert "They cannot be reached by text" in words(refused)
    await db.execute(
        "UPDATE accounts.patient SET phone = '+919812345678' WHERE patient_id = $1", environment.ids["asha"]
    )
    answers = await asyncio.gather(*(desk.post(f"{visit}/ask", {"kind": "link"}) for _ in range(2)))
    assert {goes_to(one) for one in answers} == {f"{sheet}?changed=link&about={booking}"}
    texts = Recorder()
    await sweep_all(notices(db, texts))
    (text,) = texts.sent
    assert text.template_id == "choose_time"
    asha = Browser(app, environment.tokens["asha"])
    to = goes_to(await asha.get(text.text.partition(SITE)[2]))
    assert to == f"/appointments/{PROVIDER}/{booking}/move"
    assert "Reschedule your appointment" in words(await asha.get(to))
    # Of what the clinic cannot keep, the text leads there, too.
    await db.execute("UPDATE booking.booking SET needs_rebooking = true WHERE booking_id = $1", booking)
    assert goes_to(await asha.get(text.text.partition(SITE)[2].removesuffix("?move"))) == to
    assert "Please choose another time" in words(await asha.get(to))
    noted = await audit_entries(db, "send_link")
    assert [row["detail"] for row in noted] == ["unreachable", "", ""]
    await environment.pass_until(environment.instant(9))
    desk = await log_in(app, db, "desk", ONLINE, "desk.two")
    assert "Nothing was done" in words(await desk.post(f"{visit}/ask", {"kind": "link"}))
