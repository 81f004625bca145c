"""The pages of the line without a browser: joining, every way it goes on, who may see it, and receipts."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from healthplus.waiting import waiting_users
from healthplus.web.pages import queue_receipt
from tests.fixtures.environment import FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment
from tests.web.client import Browser, Client, connect, forget_shared_reads

pytestmark = pytest.mark.dates

FREE_LINE = f"/doctor/{PROVIDER}/dr-1/{FREE}/line"


async def hold(client: Client, environment: Environment, at: str, clinic_id: int = FREE) -> dict[str, str]:
    answer = await client.post(f"providers/{PROVIDER}/holds", {"clinic_id": clinic_id, "start": at})
    assert answer.status_code == 201, answer.text
    held: dict[str, str] = answer.json()
    return held


async def test_a_ticket_from_the_queue_to_the_hold(
    app: Litestar, environment: Environment, asha: Client, day: str
) -> None:
    bina, chand, nobody = (
        Browser(app, environment.tokens["bina"]),
        Browser(app, environment.tokens["chand"]),
        connect(app),
    )
    path = f"{FREE_LINE}?day={day}&part=evening&n=1"
    assert "1 time is free now" in (await bina.get(path)).text
    held = await hold(asha, environment, environment.at(18))
    form = await bina.get(path)
    assert form.status_code == 200
    assert "free now" not in form.text
    for said in ("Any evening time", "Nobody is waiting now: you would be number 1", "Too few people", "other clinics"):
        assert said in form.text
    # A patient who is not signed in is led back with what they chose.
    away = await nobody.post(path, data={"what": "week", "anywhere": "1"})
    assert away.headers["location"].startswith("/verify?next=")
    assert "what%3Dweek%26anywhere%3D1" in away.headers["location"]
    joined = await bina.fill(path, what="part")
    assert joined.status_code == 303, joined.text
    wait = joined.headers["location"]
    assert re.fullmatch(f"/doctor/{PROVIDER}/wait/[0-9a-f-]{{36}}", wait)
    page = await bina.get(wait)
    for said in (
        "You are number 1 in the queue",
        "Any evening time",
        "Times on hold now",
        f"/doctor/{PROVIDER}/queue/1",
        '<noscript><meta http-equiv="refresh" content="10"></noscript>',  # the next offer is theirs
    ):
        assert said in page.text
    still = await bina.get(f"{wait}?still")
    assert "http-equiv" not in still.text
    second = (await chand.fill(path, what="day")).headers["location"]
    for said in ("You are number 2 in the queue", '<noscript><meta http-equiv="refresh" content="25"></noscript>'):
        assert said in (await chand.get(second)).text
    assert "2 people are waiting now" in (await nobody.get(path)).text
    news = (await bina.get(f"{wait}/news")).json()
    assert (news["state"], news["position"]) == ("waiting", 1)
    assert "Next hold ends within 5 min" in news["say"]
    hindi = (await bina.get(f"/hi{wait}/news")).json()
    assert "किसी" in hindi["html"] or "आप" in hindi["html"]
    assert hindi["say"].startswith(f"{hindi['title']}। ")
    polling = bina.get(f"{wait}/news?after={news['version']}")
    await asha.delete(held["url"])
    offered = (await polling).json()
    assert (offered["state"], offered["say"]) == ("offered", "")  # the number of before is read no more
    # Until when, below the ring: it is there without a script, and the ring, which stands still then, is not.
    assert re.search(r"</figure>\s*<p>until ", offered["html"])
    assert 'role="alert"' in offered["html"]
    page = await bina.get(wait)
    assert "It’s your turn: 6:00 pm is held for you" in re.sub("<[^>]+>", "", page.text)
    assert "Take 6:00 pm</button>" in page.text
    assert len((await bina.get(f"{wait}/news?after={offered['version']}x")).content) > 500
    taken = await bina.fill(wait, action="take")
    assert taken.headers["location"].startswith(f"/doctor/{PROVIDER}/hold/")
    # A second click, from another tab: there, too.
    assert (await bina.http.post(wait, data={"action": "take"})).headers["location"] == taken.headers["location"]
    page = await bina.get(wait)
    assert "You took 6:00 pm" in page.text
    assert taken.headers["location"] in page.text
    left = await chand.fill(second, action="leave")
    assert left.headers["location"] == second
    assert "You left the queue" in (await chand.get(second)).text
    assert (await chand.http.post(second, data={"action": "leave"})).status_code == 409
    await nobody.aclose()


async def test_what_was_taken_booked_and_cancelled_is_not_said_to_be_unpaid(
    app: Litestar, environment: Environment, asha: Client, day: str
) -> None:
    bina = Browser(app, environment.tokens["bina"])
    held = await hold(asha, environment, environment.at(18))
    ticket = (await bina.fill(f"{FREE_LINE}?day={day}&part=evening", what="part")).headers["location"]
    await asha.delete(held["url"])
    booked = (await bina.fill(ticket, action="take")).headers["location"]
    await bina.post(booked, {"who": "me"})
    assert "It is booked: " in (await bina.get(ticket)).text
    appointment = booked.replace("/doctor/", "/appointments/").replace("/hold", "")
    for place in (booked, appointment):
        shown = (await bina.get(place)).text
        link = r'You were served in turn: <a class="alone" href="([^"]+)"'
        [receipt] = re.findall(link, shown)
        assert "took a time" in (await bina.get(receipt)).text
    await bina.post(f"{appointment}/cancel")
    page = await bina.get(ticket)
    assert ("It was booked, and then cancelled: " in page.text, "not paid for in time" in page.text) == (True, False)


async def test_what_was_given_back_is_not_said_to_be_taken(
    app: Litestar, environment: Environment, asha: Client, day: str
) -> None:
    bina = Browser(app, environment.tokens["bina"])
    said = []
    for number in (1, 2):
        held = await hold(asha, environment, environment.at(18))
        ticket = (await bina.fill(f"{FREE_LINE}?day={day}&part=evening", what="part")).headers["location"]
        await asha.delete(held["url"])
        if number == 1:
            taken = (await bina.fill(ticket, action="take")).headers["location"]
            assert "given back" not in (await bina.get(f"/doctor/{PROVIDER}/queue/1")).text
            await bina.post(f"{taken}/release")
        else:
            await bina.fill(ticket, action="leave")
        page = (await bina.get(ticket)).text
        said.append(("You gave 6:00 pm back" in page, "You took" in page, "You left the queue" in page))
    assert said == [(True, False, False), (True, False, True)]
    forget_shared_reads(app)
    assert "6:00 pm was given back afterwards" in (await bina.get(f"/doctor/{PROVIDER}/queue/1")).text
    assert "given back" not in (await bina.get(f"/doctor/{PROVIDER}/queue/2")).text


async def test_the_bar_of_other_pages_is_told_of_each_change(
    app: Litestar, environment: Environment, asha: Client, day: str
) -> None:
    bina, chand = Browser(app, environment.tokens["bina"]), Browser(app, environment.tokens["chand"])
    held = await hold(asha, environment, environment.at(18))
    first, second = [
        (await who.fill(f"{FREE_LINE}?day={day}&part=evening", what="part")).headers["location"]
        for who in (bina, chand)
    ]
    shown = (await chand.get("/help")).text
    assert "Number 2 in the queue" in shown
    assert re.search(r"since \d{1,2}:\d\d", shown)  # the time of joining
    told = (await chand.get(f"{second}/news?bar=true")).json()
    assert ("Number 2 in the queue" in told["html"], "<h1" in told["html"]) == (True, False)
    # A chart, of whomever, asks for it with its own updates, and is answered when either changes.
    chart = f"/doctor/{OTHER_PROVIDER}/dr-2/{FREE}/news?day={day}"
    version = (await chand.get(chart)).json()["version"]
    ticket = second.rpartition("/")[2]
    asked = f"{chart}&after={version}&waits={PROVIDER}/{ticket}/"
    assert (await chand.get(asked)).json() == {"turn": told}
    waiting = asyncio.create_task(chand.get(asked + told["version"]))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await bina.fill(first, action="leave")
    turn = (await waiting).json()["turn"]
    assert (turn["position"], "Number 1 in the queue" in turn["html"]) == (1, True)
    await asha.delete(held["url"])
    turn = (await chand.get(asked + turn["version"])).json()["turn"]
    assert ("It’s your turn" in turn["html"], turn["say"]) == (True, "It’s your turn: 6:00 pm is held for you.")
    await chand.fill(second, action="leave")
    turn = (await chand.get(asked + turn["version"])).json()["turn"]
    assert ("You gave 6:00 pm back" in turn["html"], "What happened" in turn["html"]) == (True, True)
    # It is nobody else's, and a text that names no ticket asks for none.
    assert (await bina.get(asked)).json() == {"turn": {"over": True}}
    assert (await bina.get(f"{chart}&waits=x")).json()["version"] == version


async def test_a_wait_is_its_patients_own(app: Litestar, environment: Environment, asha: Client, day: str) -> None:
    bina, chand, nobody = (
        Browser(app, environment.tokens["bina"]),
        Browser(app, environment.tokens["chand"]),
        connect(app),
    )
    path = f"{FREE_LINE}?day={day}&part=evening"
    await hold(asha, environment, environment.at(18))
    wait = (await bina.fill(path, what="part")).headers["location"]
    assert (await chand.get(wait)).status_code == 404
    assert (await chand.get(f"{wait}/news")).status_code == 404
    assert (await nobody.get(wait)).headers["location"].startswith("/verify")
    assert (await nobody.get(f"{wait}/news")).status_code == 401
    assert (await bina.get(wait.replace(f"/doctor/{PROVIDER}/", f"/doctor/{OTHER_PROVIDER}/"))).status_code == 404
    assert (await chand.http.post(wait, data={"action": "leave"})).status_code == 404
    # A second line while waiting in one.
    claimed = await bina.fill(path.replace("evening", "morning"), what="week")
    assert claimed.headers["location"].startswith(f"/busy?for=line&provider={PROVIDER}&clinic={FREE}&n=1&from=")


async def test_refusals_lead_on(app: Litestar, environment: Environment, asha: Client, day: str) -> None:
    bina = Browser(app, environment.tokens["bina"])
    path = f"{FREE_LINE}?day={day}&part=evening"
    held = await hold(asha, environment, environment.at(18))
    await asha.post(f"{held['url']}/payment", {"method": "x"})
    full = await bina.fill(path, what="part")
    assert (full.status_code, "All these times are booked" in full.text) == (409, True)
    assert "checked" in full.text
    none = await bina.fill(path.replace("evening", "morning"), what="part")
    assert (none.status_code, "no times to wait for then" in none.text) == (422, True)
    for wrong in ("&part=night", "&n=0", "&n=21", "&day=2026-13-01", "&day=9999-12-31"):
        query = re.sub(f"&?{wrong[1:].split('=')[0]}=[^&]*", "", path.partition("?")[2]) + wrong
        answer = await bina.get(f"{FREE_LINE}?{query}")
        assert answer.status_code in (400, 422), wrong
    assert (await bina.fill(path, what="year")).status_code == 422
    assert (await bina.get(f"/doctor/{PROVIDER}/x/99/line")).status_code == 404
    assert (await bina.get(f"/doctor/99/x/{FREE}/line")).status_code == 404
    # A time that is free is offered at once.
    offered = await bina.fill(f"/doctor/{PROVIDER}/dr-1/{ONLINE}/line?day={day}&part=morning&n=2", what="day")
    page = await bina.get(offered.headers["location"])
    assert "Take 9:00 am and pay ₹500" in page.text
    await environment.pass_time(seconds=66)
    over = await bina.http.post(offered.headers["location"], data={"action": "take"})
    assert (over.status_code, "minute was over" in over.text, "Your turn is over" in over.text) == (410, True, True)
    assert "Join the queue again" in over.text
    assert (await bina.http.post(offered.headers["location"], data={"action": "x"})).status_code == 422


async def test_away_and_back_full_and_an_hour(app: Litestar, environment: Environment, asha: Client, day: str) -> None:
    bina, chand = Browser(app, environment.tokens["bina"]), Browser(app, environment.tokens["chand"])
    path = f"{FREE_LINE}?day={day}&part=evening"
    held = await hold(asha, environment, environment.at(18))
    first = (await bina.fill(path, what="part")).headers["location"]
    await bina.get(first)
    await environment.pass_time(seconds=70)
    second = (await chand.fill(path, what="part")).headers["location"]
    await chand.get(second)
    await asha.delete(held["url"])
    page = await bina.get(first)  # back, when it has gone to the next
    assert "and you were passed over. Your number is unchanged." in page.text
    assert "You are number 1 in the queue" in page.text
    taken = await chand.fill(second, action="take")
    hold_id = UUID(taken.headers["location"].rpartition("/")[2])
    outcome = await environment.book.confirm(PROVIDER, hold_id, None, environment.actor("chand"))
    assert outcome.code == "booked"
    page = await bina.get(first)
    assert "All these times are booked" in page.text
    assert "http-equiv" not in page.text
    tomorrow = (environment.day + timedelta(days=1, hours=18)).isoformat()
    await hold(asha, environment, tomorrow)
    third = (await bina.fill(path.replace(day, tomorrow[:10]), what="part")).headers["location"]
    assert "You are number 1 in the queue" in (await bina.get(third)).text
    await environment.pass_time(minutes=61)
    assert "Your hour in the queue is over" in (await bina.get(third)).text
    receipt = await bina.get(f"/doctor/{PROVIDER}/queue/1")
    for said in ("was fair to ticket 1", "was away; passed over", "Ticket 2 took a time", "could no longer get a time"):
        assert said in receipt.text


async def test_idle_updates_are_small(
    app: Litestar, environment: Environment, asha: Client, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bina = Browser(app, environment.tokens["bina"])
    await hold(asha, environment, environment.at(18))
    wait = (await bina.fill(f"{FREE_LINE}?day={day}&part=evening", what="part")).headers["location"]
    version = (await bina.get(f"{wait}/news")).json()["version"]
    monkeypatch.setattr(waiting_users, "POLL_SECONDS_MAX", 0.1)
    idle = await bina.get(f"{wait}/news?after={version}")
    assert idle.json() == {"version": version}
    assert len(idle.content) + sum(len(name) + len(value) + 4 for name, value in idle.headers.raw) < 1000
    app.state.services.waiting.draining = True
    leaving = await bina.get(f"{wait}/news?after={version}")
    assert leaving.json() == {"version": version, "reconnect": True}
    assert leaving.headers["connection"] == "close"


async def test_receipts_for_programs(
    http: httpx.AsyncClient,
    app: Litestar,
    environment: Environment,
    asha: Client,
    day: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bina, chand = Browser(app, environment.tokens["bina"]), Browser(app, environment.tokens["chand"])
    path = f"{FREE_LINE}?day={day}&part=evening"
    await hold(asha, environment, environment.at(18))
    first = (await bina.fill(path, what="part")).headers["location"]
    await chand.fill(path, what="part", anywhere="1")
    await bina.fill(first, action="leave")
    receipt = f"/doctor/{PROVIDER}/queue/2"
    monkeypatch.setattr(queue_receipt, "_ENTRIES_A_PAGE", 2)
    page = (await http.get(receipt, headers={"accept": "application/json"})).json()
    assert [(entry["entry"], entry["kind"], entry["ticket"]) for entry in page["entries"]] == [
        (1, "joined", 1),
        (2, "joined", 2),
    ]
    assert (page["entries"][0]["clinic_id"], page["entries"][1]["clinic_id"], page["last"]) == (FREE, None, 3)
    rest = (await http.get(page["next"])).json()
    assert [entry["kind"] for entry in rest["entries"]] == ["left"]
    assert (rest["next"], rest["previous"], rest["head"]) == (
        None,
        page["entries"][1]["hash"],
        rest["entries"][0]["hash"],
    )
    assert "The queue was fair" in (await http.get(receipt, headers={"accept": "text/html,*/*;q=0.8"})).text
    for nothing in ("3", "3.json", "0", "-1", "x", "1.xml", "9" * 30, "%00"):
        assert (await http.get(f"/doctor/{PROVIDER}/queue/{nothing}")).status_code == 404
    assert (await http.get(f"/doctor/{OTHER_PROVIDER}/queue/1")).status_code == 404
    await environment.db.execute("ALTER TABLE booking.queue_entry DISABLE TRIGGER append_only")
    await environment.db.execute("UPDATE booking.queue_entry SET during = NULL, slots_needed = 0 WHERE entry = 2")
    forget_shared_reads(app)
    assert "Not in order" in (await http.get(receipt)).text
    await environment.db.execute(
        "UPDATE booking.queue_entry SET slots_needed = 1, during = (SELECT during FROM booking.queue_entry AS one "
        "WHERE one.entry = 1 AND one.provider_id = 1) WHERE entry = 2"
    )
