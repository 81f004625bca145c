"""The pages of the line where several are called at once, and where a turn passes."""

from __future__ import annotations

import asyncio
import html
import re

import pytest
from litestar import Litestar

from tests.fixtures.environment import ONLINE, PROVIDER, Environment
from tests.web.client import Browser, Client
from tests.web.test_queue_pages import FREE_LINE, hold

pytestmark = pytest.mark.dates


async def test_a_call_from_the_question_to_the_hold(
    app: Litestar, environment: Environment, asha: Client, day: str
) -> None:
    bina, chand = Browser(app, environment.tokens["bina"]), Browser(app, environment.tokens["chand"])
    path = f"{FREE_LINE}?day={day}&part=evening"
    held = await hold(asha, environment, environment.at(18))
    first, second = [(await who.fill(path, what="part")).headers["location"] for who in (bina, chand)]
    await environment.let_turns_go()
    version = (await bina.get(f"{first}/news")).json()["version"]
    polling = asyncio.create_task(bina.get(f"{first}/news?after={version}&seen=false"))
    await asyncio.sleep(0.2)
    await asha.delete(held["url"])
    news = (await polling).json()
    assert (news["state"], news["title"]) == ("called", "A time has come free. Will you take it?")
    assert 'role="alert"' in news["html"]
    for page in ((await bina.get(first)).text, (await chand.get(second)).text):
        for said in (
            "We asked the first 2 people in the queue",
            "Yes, I’ll take it</button>",
            "Don’t take it, and leave",
            "<noscript><p>about 60 seconds left</p></noscript>",
        ):
            assert said in page
        assert '<noscript><meta http-equiv="refresh" content="25"></noscript>' in page
    assert (await bina.get("/turn")).headers["location"] == first
    assert "Will you take it?" in (await bina.get("/")).text  # in the bar of every page
    # The second answers first, and waits for the first.
    assert (await chand.fill(second, action="answer")).headers["location"] == second
    page = (await chand.get(second)).text
    assert "You said yes to 6:00 pm" in page
    assert "waiting for those ahead of you" in page
    assert "Yes, I’ll take it" not in page
    hindi = (await chand.get(f"/hi{second}")).text
    assert "आपसे आगे वालों के जवाब का इंतज़ार है" in hindi
    taken = await bina.fill(first, action="answer")
    assert taken.headers["location"].startswith(f"/doctor/{PROVIDER}/hold/")
    assert (await bina.http.post(first, data={"action": "answer"})).headers["location"] == taken.headers["location"]
    page = (await chand.get(second)).text
    assert "You are number 1 in the queue" in page
    assert "went to someone ahead of you" in page
    receipt = (await chand.get(f"/doctor/{PROVIDER}/queue/2")).text
    for said in ("The queue was fair", "was asked, with others", "said yes to the time", "as someone ahead took it"):
        assert said in receipt


async def test_who_lets_a_call_pass_is_told_the_same_on_every_page(
    app: Litestar, environment: Environment, asha: Client, day: str
) -> None:
    bina, chand = Browser(app, environment.tokens["bina"]), Browser(app, environment.tokens["chand"])
    path = f"{FREE_LINE}?day={day}&part=evening"
    held = await hold(asha, environment, environment.at(18))
    first, second = [(await who.fill(path, what="part")).headers["location"] for who in (bina, chand)]
    await environment.let_turns_go()
    await asha.delete(held["url"])
    await bina.get(first)
    await chand.fill(second, action="answer")
    await environment.pass_time(seconds=66)
    assert "You took 6:00 pm" in (await chand.get(second)).text
    page = (await bina.get(first)).text
    assert "Your turn is over" in page
    assert "did not answer within the minute. No money was taken." in " ".join(page.split())
    over = await bina.http.post(first, data={"action": "answer"})
    assert (over.status_code, "minute was over" in over.text) == (410, True)
    # The text that told of it leads to what it told of, also late.
    assert (await bina.get("/turn")).headers["location"] == first
    await environment.pass_time(minutes=24 * 60)
    assert (await bina.get("/turn")).headers["location"] == "/appointments"


async def test_an_offer_that_passes_while_one_looks_says_what_its_reload_says(
    app: Litestar, environment: Environment, day: str
) -> None:
    bina = Browser(app, environment.tokens["bina"])
    path = f"/doctor/{PROVIDER}/dr-1/{ONLINE}/line?day={day}&part=morning"
    ticket = (await bina.fill(path, what="part")).headers["location"]
    said = "9:00 am was held for you and was not taken in time: it goes to the next person. No money was taken."
    shown = " ".join((await bina.get(ticket)).text.split())
    over = re.sub("<[^>]+>", "", " ".join(re.findall(r'<(?:span|p)\s+data-over="turn[^>]*>(.*?)</(?:span|p)>', shown)))
    assert over == f"Your turn is over {said}"
    await environment.pass_time(seconds=66)
    reloaded = re.sub("<[^>]+>", "", " ".join((await bina.get(ticket)).text.split()))
    assert said in reloaded
    assert "Your turn is over" in reloaded


async def test_the_second_turn_let_go_closes_the_queue_and_says_until_when(
    app: Litestar, environment: Environment, asha: Client, day: str
) -> None:
    bina = Browser(app, environment.tokens["bina"])
    path = f"{FREE_LINE}?day={day}&part=evening"
    offers = []
    for _ in range(2):
        held = await hold(asha, environment, environment.at(18))
        ticket = (await bina.fill(path, what="part")).headers["location"]
        await asha.delete(held["url"])
        assert "Join the queue again" not in (await bina.get(ticket)).text  # it is offered
        await bina.fill(ticket, action="leave")
        offers.append("Join the queue again" in (await bina.get(ticket)).text)
    assert offers == [True, False]
    await hold(asha, environment, environment.at(18))
    refused = await bina.fill(path, what="part")
    assert refused.status_code == 429
    assert "You let two turns go here within a day. You can join this queue again from" in refused.text


async def test_the_part_of_the_day_that_is_offered_is_one_with_a_held_time(
    app: Litestar, environment: Environment, asha: Client, day: str
) -> None:
    bina = Browser(app, environment.tokens["bina"])
    await hold(asha, environment, environment.at(18))
    page = (await bina.get(f"{FREE_LINE}?day={day}&part=morning")).text
    assert "Any evening time" in page
    assert "Any morning time" not in page
    (action,) = re.findall(r'method="post" action="([^"]+/line[^"]*)"', page)
    assert "part=evening" in action
    joined = await bina.fill(html.unescape(action), what="part")
    assert (joined.status_code, "/wait/" in joined.headers["location"]) == (303, True)
    nothing_held = (await bina.get(f"/doctor/{PROVIDER}/dr-1/{ONLINE}/line?day={day}&part=morning")).text
    assert "Any morning time" in nothing_held
