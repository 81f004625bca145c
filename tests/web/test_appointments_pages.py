"""A patient's own visits by pages: what each state says, whose they are, and what the forms do, once and again."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from healthplus.accounts.actors import Staff
from healthplus.notices.texts import link_code
from healthplus.web.languages import ENGLISH
from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment, attend
from tests.web.client import Client
from tests.web.test_appointments import book
from tests.web.test_holds import PAY, hold, hold_body
from tests.web.test_pages import submit
from tests.web.test_waits import evening, join

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.dates]


def sign_in(http: httpx.AsyncClient, environment: Environment, name: str) -> None:
    http.cookies.set("session", environment.tokens[name])


async def visit_of(
    client: Client, environment: Environment, hour: int = 9, clinic_id: int = ONLINE, provider_id: int = PROVIDER
) -> str:
    """Book a visit; return where its page is. An hour from 24 on is one of the next day."""
    held = await hold(client, {"clinic_id": clinic_id, "start": environment.at(hour)}, provider_id)
    url = (await client.post(f"{held['url']}/payment", PAY)).json()["url"]
    return f"/appointments/{provider_id}/{url.rpartition('/')[2]}"


async def said(http: httpx.AsyncClient, path: str) -> str:
    """Return a page's words, as they are read."""
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, no-cache"
    return words(answer.text)


def words(page: str) -> str:
    main = re.search(r"<main.*</main>", page, re.DOTALL)
    assert main
    return " ".join(re.sub(r"<[^>]+>", " ", main[0]).split())


async def money_is(environment: Environment, path: str, *states: str) -> None:
    """Let captures get to one of these states, and the receipts follow."""
    for _ in range(200):
        found = await environment.db.fetch_value(
            "SELECT coalesce(due::text || '_due', state::text) FROM ledger.payment WHERE booking_id = $1",
            UUID(path.rpartition("/")[2]),
        )
        if found in states and await is_receipted(environment):
            return
        await environment.db.execute("SELECT pg_sleep(0.05)")
    pytest.fail(f"the money is {found}")


async def is_receipted(environment: Environment) -> bool:
    """Issue all receipts that are due; return whether none is left, as where a process of the app is at it."""
    await environment.db.execute("SELECT receipts.issue(200)")
    return not await environment.db.fetch_value("SELECT EXISTS (SELECT FROM receipts.due)")


async def test_each_state_is_told(http: httpx.AsyncClient, asha: Client, environment: Environment) -> None:
    sign_in(http, environment, "asha")
    assert "You have no appointments yet" in await said(http, "/appointments")
    paid = await visit_of(asha, environment)
    at_clinic = await visit_of(asha, environment, 24 + 13, AT_CLINIC)
    free = await visit_of(asha, environment, 48 + 18, FREE)
    await money_is(environment, paid, "captured")

    page = await said(http, paid)
    zone = ZoneInfo("Asia/Kolkata")
    day = environment.day.astimezone(zone)
    for text in (
        "Your appointment is booked", f"{ENGLISH.day(day)}, 9:00 to 9:30 am IST", "Dr 1", "Clinic 1, Pune",
        "Patient asha", "Paid: ₹500 on", "Add to calendar", "Reschedule", "Cancel", "Receipt",
    ):  # fmt: skip
        assert text in page, text
    assert "₹300, to pay at the clinic" in await said(http, at_clinic)
    assert "Payment Free" in await said(http, free)
    assert "Receipt" not in await said(http, free)
    for part in (at_clinic, free):
        assert (await http.get(f"{part}/receipt")).status_code == 404
    listed = await said(http, "/appointments")
    assert listed.index("9:00 am") < listed.index("1:00 pm") < listed.index("6:00 pm")
    assert f'href="{paid}"' in (await http.get("/")).text
    hindi = await said(http, f"/hi{paid}")
    assert "आपकी अपॉइंटमेंट बुक है" in hindi

    # The clinic's leave.
    await environment.book.add_leave(
        PROVIDER, FREE, environment.day, environment.day + timedelta(days=3), "", Staff(1), flag_for_rebooking=True
    )
    stranded = await said(http, free)
    assert "Please choose another time" in stranded
    assert "Add to calendar" not in stranded
    assert "paid" not in stranded  # nothing was
    assert "Needs another time" in await said(http, "/appointments")


async def test_what_is_told_from_arrival_on(http: httpx.AsyncClient, asha: Client, environment: Environment) -> None:
    sign_in(http, environment, "asha")
    paid = await visit_of(asha, environment)
    at_clinic = await visit_of(asha, environment, 13, AT_CLINIC, OTHER_PROVIDER)
    await visit_of(asha, environment, 24 + 18, FREE)
    await attend(environment.db, paid, "arrived")
    assert "You have arrived" in await said(http, paid)
    for page_name in ("cancel", "move"):
        assert "speak to its desk" in await said(http, f"{paid}/{page_name}")
    await environment.pass_until(environment.instant(13, 10))
    begun = await said(http, at_clinic)
    assert "Your appointment has begun" in begun
    assert "too late to reschedule or cancel" in begun
    for page_name in ("cancel", "move"):
        closed = await http.get(f"{at_clinic}/{page_name}")
        assert "too late" in words(closed.text)
        assert "<form" not in closed.text.partition("<main")[2].partition("</main>")[0]
    late = await submit(http, f"{at_clinic}/cancel", {"key": "x"})
    assert (late.status_code, "The appointment has begun" in late.text) == (409, True)
    late = await submit(http, f"{at_clinic}/move", {"key": "x", "start": environment.at(15)})
    assert (late.status_code, "The appointment has begun" in late.text) == (409, True)
    early = await submit(http, at_clinic, {"stars": "5"})
    assert (early.status_code, "once the clinic has confirmed" in early.text) == (409, True)
    await environment.pass_time(minutes=30)
    assert "The time of your appointment has passed" in await said(http, at_clinic)
    await attend(environment.db, at_clinic, "no_show")
    missed = await said(http, at_clinic)
    assert "You missed this appointment" in missed
    assert "Book again" in missed

    await attend(environment.db, paid, "fulfilled")
    assert "How was your appointment" in await said(http, paid)
    for stars in ("", "0", "6", "five", "1.5"):
        wrong = await submit(http, paid, {"stars": stars})
        assert (wrong.status_code, "Choose from 1 to 5 stars" in wrong.text) == (422, True)
    for stars in ("4", "4", "2"):
        assert (await submit(http, paid, {"stars": stars})).headers["location"] == paid
        assert f"You gave {stars} stars" in await said(http, paid)
    rating = await environment.db.fetch_row(
        "SELECT rating_total, rating_count FROM directory.provider WHERE provider_id = 1"
    )
    assert tuple(rating or ()) == (2, 1)
    listed = await said(http, "/appointments")
    assert (
        listed.index("Upcoming") < listed.index("6:00 pm") < listed.index("Past and cancelled") < listed.index("Missed")
    )
    assert "Completed" in listed
    assert "There are no earlier appointments" in await said(http, "/appointments?page=2")
    for odd in ("0", "-1", "x", "²", "9" * 30):
        assert (await http.get(f"/appointments?page={odd}")).status_code == 200


async def test_a_message_leads_to_its_appointment(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    path = await visit_of(asha, environment, 13, AT_CLINIC)
    link = f"/a/{link_code(UUID(path.rpartition('/')[2]))}"
    assert "/verify" in (await http.get(link)).headers["location"]
    sign_in(http, environment, "asha")
    assert (await http.get(link)).headers["location"] == path
    sign_in(http, environment, "bina")
    assert (await http.get(link)).headers["location"] == "/appointments"


async def test_cancelling_once_and_again(http: httpx.AsyncClient, asha: Client, environment: Environment) -> None:
    sign_in(http, environment, "asha")
    paid = await visit_of(asha, environment)
    await money_is(environment, paid, "captured")
    form = {"key": "once"}
    ask = await said(http, f"{paid}/cancel")
    assert "The ₹500 that you paid goes back to the account you paid from" in ask
    assert "Patient asha" in await said(http, paid)
    receipt = await said(http, f"{paid}/receipt")
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", receipt)  # what the bank calls it is shown by its end
    for text in ("HP-", "₹500", "Paid online", "Dr 1", "Clinic 1", "Patient asha", "Service Consultation ₹500"):
        assert text in receipt
    await environment.db.execute(
        "UPDATE booking.booking SET patient_name = 'Meera Rao' WHERE patient_id = $1", environment.ids["asha"]
    )
    assert "Patient Meera Rao" in await said(http, paid)
    assert await said(http, f"{paid}/receipt") == receipt  # as it was when it was issued
    for again in (form, form, {"key": "another"}):
        assert (await submit(http, f"{paid}/cancel", again)).headers["location"] == paid
    events = await environment.db.fetch_value("SELECT count(*) FROM booking.event WHERE kind = 'cancelled'")
    assert events == 1
    cancelled = await said(http, paid)
    assert "Your appointment is cancelled" in cancelled
    assert "Refund started: ₹500" in cancelled or "Refunded: ₹500" in cancelled
    await money_is(environment, paid, "refunded")
    given_back = await said(http, paid)
    assert "Refunded: ₹500 on" in given_back
    assert "Refunded: ₹500 on" in await said(http, f"{paid}/receipt")
    assert "cancelled already" in await said(http, f"{paid}/cancel")
    assert "cancelled already" in await said(http, f"{paid}/move")
    moved = await submit(http, f"{paid}/move", {"key": "x", "start": environment.at(11)})
    assert (moved.status_code, "has just changed" in moved.text) == (409, True)
    at_clinic = await visit_of(asha, environment, 13, AT_CLINIC)
    assert "nothing to refund" in await said(http, f"{at_clinic}/cancel")
    await attend(environment.db, at_clinic, "arrived")
    refused = await submit(http, f"{at_clinic}/cancel", {"key": "y"})
    assert (refused.status_code, "has just changed" in refused.text) == (409, True)


async def test_moving_shows_the_times_of_a_day(
    http: httpx.AsyncClient, asha: Client, bina: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await visit_of(bina, environment, 10)
    move = f"{path}/move"
    page = await http.get(move)
    starts = re.findall(r'name="start" id="\w+" value="([^"]+)"', page.text)
    zone = ZoneInfo("Asia/Kolkata")
    free = [datetime.fromisoformat(start).astimezone(zone) for start in starts]
    assert [f"{start:%H:%M}" for start in free] == ["09:30", "10:30", "11:00", "11:30"]
    day = environment.day.astimezone(zone).date()
    assert all(start.date() == day for start in free)
    other_day = day + timedelta(days=1)
    assert f'href="{move}?day={other_day}"' in page.text
    assert "6 free" in words((await http.get(f"{move}?day={other_day}")).text)
    for odd in ("", "x", "0001-01-01", "9999-12-31", "2026-02-30"):
        assert (await http.get(f"{move}?day={odd}")).status_code == 200
    assert (await http.get(f"{move}?day={'9' * 50}")).status_code == 400


async def test_a_move_that_is_refused_changes_nothing_and_one_that_is_not_moves_once(
    http: httpx.AsyncClient, asha: Client, bina: Client, chand: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await visit_of(bina, environment, 10)
    move = f"{path}/move"
    day = environment.day.astimezone(ZoneInfo("Asia/Kolkata")).date()
    # Refused: the choice is kept, others are shown, nothing has changed.
    for start, what in (
        (environment.at(10), "Someone just booked 10:00 am"),
        (environment.at(12), "12:00 pm can no longer be booked"),
        (environment.at(10, 7), "10:07 am can no longer be booked"),
    ):
        refused = await submit(http, f"{move}?day={day}", {"key": "k", "start": start})
        assert (refused.status_code, what in refused.text) == (409, True), refused.text
        kept = re.findall(r'value="([^"]+)"[^>]* checked', refused.text)
        assert [datetime.fromisoformat(one) for one in kept] == [datetime.fromisoformat(start)]
        assert "9:30 am" in refused.text
    held = await hold(chand, hold_body(environment, 11))
    refused = await submit(http, move, {"key": "k", "start": environment.at(11)})
    assert (refused.status_code, "Someone else is holding 11:00 am" in refused.text) == (409, True)
    await chand.delete(held["url"])
    for wrong in ("", "x", "2026-11-27T10:00", "0001-01-01T00:00:00+00:00"):
        page = await submit(http, f"{move}?day={day + timedelta(days=1)}", {"key": "k", "start": wrong})
        assert (page.status_code, "Choose one of the times" in page.text) == (422, True)
    assert "9:00 to" in await said(http, path)

    form = {"key": "k", "start": environment.at(11)}
    for _ in range(2):
        assert (await submit(http, move, form)).headers["location"] == f"{path}?moved=1"
    assert await environment.db.fetch_value("SELECT count(*) FROM booking.event WHERE kind = 'moved'") == 1
    moved = await said(http, f"{path}?moved=1")
    assert "Your appointment has a new time" in moved
    assert "11:00 to 11:30 am IST" in moved
    assert "Your appointment is booked" not in moved
    when = ENGLISH.day(environment.day.astimezone(ZoneInfo("Asia/Kolkata")))
    assert f"Your appointment is rescheduled From {when}, 9:00 am IST to {when}, 11:00 am IST ." in moved
    assert "Your appointment has a new time" not in await said(
        http, f"{await visit_of(asha, environment, 24 + 18, FREE)}?moved=1"
    )


async def test_moving_says_where_nothing_is_left_on_a_day_and_then_nowhere(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    move = f"{await visit_of(asha, environment)}/move"
    day = environment.day.astimezone(ZoneInfo("Asia/Kolkata")).date()
    await environment.book.add_leave(
        PROVIDER, ONLINE, environment.day, environment.day + timedelta(days=1), "", Staff(1), flag_for_rebooking=True
    )
    full = await said(http, f"{move}?day={day}")
    assert "Nothing is free on" in full
    assert "The next free time is on" in full
    assert "6 free" in await said(http, move)  # leads to the next day at once
    await environment.book.add_leave(
        PROVIDER,
        ONLINE,
        environment.day - timedelta(days=9),
        environment.day + timedelta(days=61),
        "",
        Staff(1),
        flag_for_rebooking=True,
    )
    assert "as far ahead as can be booked" in await said(http, move)


async def test_a_longer_appointment_may_move_into_its_own_time(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    held = await hold(asha, {"clinic_id": AT_CLINIC, "start": environment.at(13), "slots_needed": 2})
    await asha.post(f"{held['url']}/payment", PAY)
    path = f"/appointments/{PROVIDER}/{held['id']}"
    page = (await http.get(f"{path}/move")).text
    starts = [datetime.fromisoformat(one) for one in re.findall(r'name="start" id="\w+" value="([^"]+)"', page)]
    assert starts[0] == environment.instant(13, 30)
    assert starts[-1] == environment.instant(15)
    answer = await submit(http, f"{path}/move", {"key": "k", "start": environment.at(13, 30)})
    assert answer.status_code == 303
    assert "1:30 to 2:30 pm" in await said(http, path)


async def test_only_ones_own(http: httpx.AsyncClient, asha: Client, environment: Environment) -> None:
    path = await visit_of(asha, environment)
    held = await hold(asha, hold_body(environment, 24 + 10))
    nobodys = f"/appointments/{PROVIDER}/{UUID(int=7)}"
    elsewhere = path.replace(f"/{PROVIDER}/", f"/{OTHER_PROVIDER}/")
    is_hold = f"/appointments/{PROVIDER}/{held['id']}"
    pages, forms = ("", "/cancel", "/move", "/visit.ics", "/receipt.pdf", "/receipt"), ("", "/cancel", "/move")
    before = await environment.counts()

    # Nobody is signed in: sign in, and back to a page, never to a form or a file.
    for name in pages:
        answer = await http.get(path + name)
        back_to = path if name in ("/visit.ics", "/receipt.pdf") else path + name
        assert (answer.status_code, answer.headers["location"]) == (303, f"/verify?next={back_to.replace('/', '%2F')}")
    for name in forms:
        answer = await submit(http, path + name, {"key": "k", "stars": "1", "start": environment.at(11)})
        assert answer.headers["location"] == f"/verify?next={path.replace('/', '%2F')}"
    assert (await http.get("/appointments")).headers["location"] == "/verify?next=%2Fappointments"

    sign_in(http, environment, "bina")
    assert "You have no appointments yet" in await said(http, "/appointments")
    for where in (path, nobodys, elsewhere, is_hold, "/appointments/0/x", f"/appointments/{2**70}/{UUID(int=7)}"):
        for prefix in ("", "/hi"):
            for name in pages:
                assert (await http.get(prefix + where + name)).status_code == 404
            for name in forms:
                answer = await submit(
                    http, prefix + where + name, {"key": "k", "stars": "1", "start": environment.at(11)}
                )
                assert answer.status_code == 404

    sign_in(http, environment, "asha")
    for where in (nobodys, elsewhere, is_hold):
        assert (await http.get(where)).status_code == 404
    for name in forms:
        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
            form = {"key": "k", "stars": "1", "start": environment.at(11)}
            assert (await submit(http, path + name, form, **headers)).status_code == 403
    assert await environment.counts() == before
    assert "9:00 to" in await said(http, path)


async def test_what_ran_out_is_told(http: httpx.AsyncClient, asha: Client, environment: Environment) -> None:
    sign_in(http, environment, "asha")
    held = await hold(asha, hold_body(environment, 9))
    assert f'href="/doctor/{PROVIDER}/hold/{held["id"]}"' in (await http.get("/appointments")).text  # the bar on top
    assert "Not booked" not in await said(http, "/appointments")
    await environment.pass_time(minutes=6)
    lost = await http.get("/appointments")
    assert "Not booked" in lost.text
    assert f'href="/doctor/{PROVIDER}/hold/{held["id"]}"' in lost.text
    await book(asha, environment, 9)  # tried again
    assert "Not booked" not in await said(http, "/appointments")
    await hold(asha, hold_body(environment, 24 + 11))
    await environment.pass_time(minutes=6)
    assert "Not booked" in await said(http, "/appointments")
    await environment.pass_time(days=1)
    assert "Not booked" not in await said(http, "/appointments")


async def test_a_turn_that_passed_is_told(
    http: httpx.AsyncClient, asha: Client, bina: Client, chand: Client, environment: Environment
) -> None:
    held = await hold(asha, hold_body(environment, 18, FREE))
    missed, passed = await join(chand, evening(environment)), await join(bina, evening(environment))
    await asha.delete(held["url"])
    await environment.pass_time(seconds=66)  # an offer that was never fetched: its place in the line is kept
    assert (await bina.get(passed["url"])).json()["state"] == "offered"
    sign_in(http, environment, "chand")
    assert "Your turn is over" not in await said(http, "/appointments")
    await environment.pass_time(seconds=66)
    await bina.get(passed["url"])
    sign_in(http, environment, "bina")
    page = (await http.get("/appointments")).text
    assert "Your turn is over" in page
    assert f'href="/doctor/{PROVIDER}/wait/{passed["id"]}"' in page
    assert (await chand.get(missed["url"])).json()["number"] == 1


async def test_past_appointments_come_in_pages(http: httpx.AsyncClient, environment: Environment) -> None:
    await environment.db.execute(
        "INSERT INTO booking.booking (provider_id, booking_id, clinic_id, patient_id, during, seat, slots_needed, "
        "state, fee_minor, funding, created_at) "
        "SELECT 1, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 3, $1, "
        "tstzrange(at, at + interval '30 min'), 1, 1, 'booked', 0, 'free', at "
        "FROM (SELECT n, app_now() - n * interval '1 day' AS at FROM generate_series(1, 25) AS n) AS day",
        environment.ids["asha"],
    )
    sign_in(http, environment, "asha")
    try:
        pages = [(await http.get(f"/appointments?page={number}")).text for number in (1, 2)]
        found = [[int(n) for n in re.findall(r'href="/appointments/1/\S+-0*(\d+)"', page)] for page in pages]
        assert found == [list(range(1, 21)), list(range(21, 26))]
        assert ('href="?page=2"' in pages[0], 'href="?page=1"' in pages[1], 'href="?page=3"' in pages[1]) == (
            True,
            True,
            False,
        )
    finally:
        await environment.db.execute("DELETE FROM booking.booking")  # they were never reserved
