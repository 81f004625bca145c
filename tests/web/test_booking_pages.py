"""The pages from the chart to the hold, without a browser: who may see what, odd input, and what is said when."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from tests.fixtures.environment import AT_CLINIC, FREE, ONLINE, OTHER_PROVIDER, PROVIDER, Environment, attend
from tests.web.client import Browser

PROMPTLY_SECONDS = 4
"""Two seconds, and as many again for the other tests that run on the machine."""
CHART = f"/doctor/{PROVIDER}/dr-1/{ONLINE}"


async def hold(client: Browser, environment: Environment, hour: int = 10, path: str = CHART) -> str:
    """Hold a slot of the environment's day; return where its page is."""
    held = await client.post(f"{path}?day={day_of(environment)}", {"start": environment.at(hour)})
    assert held.status_code == 303, held.text
    location = held.headers["location"]
    assert f"/doctor/{PROVIDER}/hold/" in location, location
    return str(location)


def day_of(environment: Environment) -> str:
    return (environment.day + timedelta(hours=6)).date().isoformat()


@pytest.fixture
def asha(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["asha"])


@pytest.fixture
def bina(app: Litestar, environment: Environment) -> Browser:
    return Browser(app, environment.tokens["bina"])


@pytest.fixture
def nobody(app: Litestar) -> Browser:
    return Browser(app)


async def test_the_chart_says_who_it_is(nobody: Browser, environment: Environment) -> None:
    await environment.db.execute(
        "UPDATE directory.provider SET practising_since = extract(year FROM public.app_now()) - 14, "
        "languages = '{Marathi,Hindi}' WHERE provider_id = $1",
        PROVIDER,
    )
    page = (await nobody.get(CHART)).text
    band = page[page.index('class="width booked-with"') : page.index('<div class="sides">')]
    assert "14 years’ experience Marathi, Hindi" in re.sub(r"<[^>]+>|\s*\n\s*", "", band)
    assert f'<a href="/doctor/{PROVIDER}/dr-1?about">About</a>' in band


async def test_the_bar_says_the_time_that_the_address_names(
    environment: Environment, asha: Browser, bina: Browser, nobody: Browser
) -> None:
    """Without a script, too: where a card's time leads to, it need not be chosen again."""
    address = f"{CHART}?{urlencode({'day': day_of(environment), 'start': environment.at(10)})}"

    def bar(page: str) -> list[str]:
        found = re.findall(r'<span class="as-named">(?:<span class="if-in">)?(.*?)</span>', page)
        assert len(found) == 2
        return found

    for browser in (nobody, asha):
        page = (await browser.get(address)).text
        # Who is not signed in goes on to that first, and reads so.
        assert '<span class="if-out">Continue to hold 10:00 am</span>' in page
        assert ("data-signed-out" in page) == (browser is nobody)
        assert bar(page) == ["10:00 to 10:30 am", "Hold 10:00"]
        assert re.search(r'value="[^"]+"\s+data-from="10:00 am"[^>]* checked data-named>', page)
    assert bar((await nobody.get(f"{address}&n=2")).text)[0] == "10:00 to 11:00 am"
    assert bar((await nobody.get(f"/hi{address}")).text) == ["सुबह\xa010:00 से 10:30", "10:00 होल्ड करें"]
    assert bar((await nobody.get(address.partition("&start")[0])).text) == ["Choose a time", "Hold"]
    await hold(asha, environment, 11)
    assert bar((await asha.get(address)).text)[1] == "Change to 10:00"
    await hold(bina, environment)
    await bina.get("/")
    page = (await asha.get(address)).text  # gone by now
    assert bar(page)[0] == "Choose a time"
    assert "10:00 am has just been taken" in page


async def test_a_hold_is_its_owners_alone(
    environment: Environment, asha: Browser, bina: Browser, nobody: Browser
) -> None:
    path = await hold(asha, environment)
    assert (await asha.get(path)).status_code == 200
    for address in (path, f"{path}/news?after=reserved"):
        assert (await bina.get(address)).status_code == 404
        asked = await nobody.get(address)
        assert asked.status_code == 303
        assert asked.headers["location"].startswith("/verify?next=")
    for address in (path, f"{path}/release"):
        assert (await bina.post(address, {"method": "sandbox-ok"})).status_code == 404
        assert (await nobody.post(address)).headers["location"].startswith("/verify?next=")
        crossed = await asha.post(address, headers={"Sec-Fetch-Site": "cross-site"})
        assert crossed.status_code == 403
    assert "is held for you" in (await asha.get(path)).text


@pytest.mark.dates
async def test_a_form_sent_again_changes_nothing_more(environment: Environment, asha: Browser) -> None:
    path, form = f"{CHART}?day={day_of(environment)}", {"start": environment.at(10), "key": "once"}
    first, second = await asha.post(path, form), await asha.post(path, form)
    assert first.headers["location"] == second.headers["location"]
    # Nor under a new key, as after going back; another time moves what is held.
    assert (await asha.post(path, {"start": environment.at(10)})).headers["location"] == first.headers["location"]
    kinds = "SELECT kind FROM booking.event WHERE booking_id IS NOT NULL ORDER BY seq"
    assert [row["kind"] for row in await environment.db.fetch(kinds)] == ["reserved"]
    assert (await asha.post(path, {"start": environment.at(11)})).headers["location"] == first.headers["location"]
    assert [row["kind"] for row in await environment.db.fetch(kinds)] == ["reserved", "moved"]


@pytest.mark.dates
async def test_who_is_not_signed_in_finds_the_chosen_time_again(environment: Environment, nobody: Browser) -> None:
    asked = await nobody.post(f"{CHART}?day={day_of(environment)}&n=2", {"start": environment.at(10)})
    back_to = httpx.QueryParams(httpx.URL(asked.headers["location"]).query)["next"]
    page = await nobody.get(back_to)
    assert page.text.count(" checked") == 1
    assert "60 min" in page.text


@pytest.mark.parametrize(
    "query",
    [
        {"day": "tomorrow"},
        {"day": "0001-01-01"},
        {"day": "9999-12-31"},
        {"n": "0"},
        {"n": "-1"},
        {"n": "99"},
        {"n": "²"},
        {"n": "1e3"},
        {"start": "now"},
        {"start": "2026-11-27T10:00:00"},
        {"start": "9999-12-31T23:59:59-12:00"},
        {"start": "\x00"},
        {"day": "'; DROP TABLE"},
    ],
)
async def test_odd_questions_get_the_chart(query: dict[str, str], asha: Browser) -> None:
    for path in (CHART, f"{CHART}/news"):
        answer = await asha.get(f"{path}?{urlencode(query)}")
        assert answer.status_code == 200
    refused = await asha.post(f"{CHART}?{urlencode(query)}", {"start": query.get("start", "")})
    assert refused.status_code in (303, 409, 422)


async def test_nobodys_addresses(asha: Browser) -> None:
    for path in (
        f"/doctor/{PROVIDER}/dr-1/99",
        f"/doctor/99/dr-1/{ONLINE}",
        f"/doctor/{2**63}/dr-1/1",
        f"/doctor/{PROVIDER}/dr-1/-1",
        f"/doctor/{PROVIDER}/hold/00000000-0000-0000-0000-000000000000",
        "/busy",
        "/busy?for=hold&provider=1&clinic=1&start=x",
        f"/busy?for=line&provider=1&clinic=1&start={urlencode({'': '2026-11-27T10:00:00+05:30'})[1:]}",
        "/busy?for=hold&provider=²&clinic=1&start=2026-11-27T10:00:00Z",
    ):
        assert (await asha.get(path)).status_code == 404, path
    moved = await asha.get(f"/doctor/{PROVIDER}/somebody-else/{ONLINE}?day=2030-01-01")
    assert moved.headers["location"] == f"{CHART}?day=2030-01-01"


async def test_the_form_may_lead_to_the_bank_and_nowhere_else(environment: Environment, asha: Browser) -> None:
    page = await asha.get(await hold(asha, environment))
    policy = page.headers["content-security-policy"]
    [allowed] = [part for part in policy.split("; ") if part.startswith("form-action")]
    assert allowed.startswith("form-action 'self' http://127.0.0.1:")
    assert policy.replace(allowed, "form-action 'self'") == (await asha.get(CHART)).headers["content-security-policy"]


@pytest.mark.parametrize(
    ("clinic", "said", "done"),
    [
        (ONLINE, "Pay ₹500", "Paid: ₹500"),
        (AT_CLINIC, "paid at the clinic", "You pay ₹300 at"),
        (FREE, "Free.", "nothing to pay"),
    ],
)
@pytest.mark.dates
async def test_each_kind_of_funding(clinic: int, said: str, done: str, environment: Environment, asha: Browser) -> None:
    hour = {ONLINE: 10, AT_CLINIC: 14, FREE: 18}[clinic]
    path = await hold(asha, environment, hour, f"/doctor/{PROVIDER}/dr-1/{clinic}")
    assert said in (await asha.get(path)).text
    form = {"who": "other", "other": "  Tara  ", "birth_year": "2015", "sex": "female", "method": "sandbox-ok"}
    paid = await asha.post(path, form)
    assert paid.headers["location"] == path
    page = (await asha.get(path)).text
    assert done in page
    assert "The clinic expects Tara." in page
    # Sent again, by a second click or a lost answer: as the first time.
    assert (await asha.post(path, form)).headers["location"] == path
    count = await environment.db.fetch_value("SELECT count(*) FROM booking.booking WHERE patient_name = 'Tara'")
    assert count == 1
    persons = await environment.db.fetch("SELECT name, birth_year, sex::text FROM accounts.person WHERE NOT is_holder")
    assert [tuple(one) for one in persons] == [("Tara", 2015, "female")]
    # Who was booked for once is offered again.
    assert "<span>Tara</span></label>" in (await asha.get(await hold(asha, environment, 11))).text


async def test_what_is_wrong_with_a_form_is_said_and_nothing_typed_is_lost(
    environment: Environment, asha: Browser
) -> None:
    path = await hold(asha, environment)
    other = {"who": "other", "other": "Tara", "birth_year": "2015", "sex": "female", "method": "sandbox-ok"}
    for change, said, field in (
        ({"other": ""}, "Enter the patient", "other"),
        ({"other": "x" * 201}, "Enter the patient", "other"),
        ({"other": "\x07"}, "Enter the patient", "other"),
        ({"birth_year": ""}, "Write the year of birth", "birth_year"),
        ({"birth_year": "15"}, "Write the year of birth", "birth_year"),
        ({"birth_year": "9999"}, "Write the year of birth", "birth_year"),
        ({"who": "me", "name": "\ue000"}, "Enter your name", "name"),
        ({"who": "for:Tara"}, "Choose who", "who"),
        ({"who": str(UUID(int=7))}, "Choose who", "who"),
        ({"method": "gold"}, "Choose how to pay.", "method"),
    ):
        form = other | change
        refused = await asha.post(path, form)
        assert refused.status_code == 422, change
        # One sentence: of a field there, which takes the focus, of a choice above.
        assert refused.text.count(said) == 1
        if field in ("who", "method", "name"):  # Asha has a name, so there is no field for it
            assert f'<a href="#{field}">{said}' in refused.text
        else:
            assert f'<p class="error" id="{field}-error">{said}' in refused.text
            assert 'id="error"' not in refused.text
            wrong = re.findall(r"<input [^>]*autofocus[^>]*>", refused.text)
            assert len(wrong) == 1
            assert f'id="{field}"' in wrong[0]
            assert f'aria-describedby="{field}-error"' in wrong[0]
        for name in ("other", "birth_year"):
            assert f'name="{name}"' in refused.text
            if form[name].isprintable():
                assert f'value="{form[name]}"' in refused.text
        assert '<option value="female" selected>' in refused.text
        if form["who"] in ("me", "other"):
            assert f'name="who" value="{form["who"]}" checked' in refused.text
    assert await environment.db.fetch_value("SELECT count(*) FROM accounts.person WHERE NOT is_holder") == 0
    # Digits of other scripts are digits.
    assert (await asha.post(path, other | {"birth_year": "२०१५"})).status_code == 303
    assert await environment.db.fetch_value("SELECT birth_year FROM accounts.person WHERE NOT is_holder") == 2015


async def test_a_person_booked_for_is_erased_with_the_patient(environment: Environment, asha: Browser) -> None:
    path = await hold(asha, environment)
    await asha.post(path, {"who": "other", "other": "Tara", "birth_year": "2015", "method": "sandbox-ok"})
    await attend(environment.db, path)
    await environment.db.execute("UPDATE accounts.patient SET phone = '+919800000000' WHERE name = 'asha'")
    erased = await asha.post("/privacy/erase")
    assert erased.headers["location"].startswith("/privacy/erased")
    for table in ("booking.booking", "accounts.person"):
        assert (
            await environment.db.fetch_value(
                f"SELECT count(*) FROM {table} AS t WHERE t::text ~ 'Tara|asha|[(,]2015[,)]'"
            )
            == 0
        )


async def test_where_the_bank_has_not_answered_one_sentence_says_what_to_do(
    environment: Environment, asha: Browser
) -> None:
    """What is said while the time is held goes away at the moment that its end is said."""
    path = await hold(asha, environment)
    shown = (await asha.get(f"{path}?bank=unanswered")).text
    assert shown.count("you are charged once") == 1
    assert re.search(
        r'<a\s+class="button quiet" href="[^"]+#method">Pay another way</a>', shown
    )  # in sight, not folded
    for gone in ("Don’t pay again", "text you", "Paying again", "No money was taken"):
        assert gone not in shown
    assert '<div data-while="hold"><div class="notice' in shown.replace("\n", "")
    assert '<p class="actions" data-while="hold">' in shown
    assert "Your bank has not answered yet. If it took money, all of it comes back by itself" in shown


async def test_updates_of_a_hold(environment: Environment, asha: Browser) -> None:
    path = await hold(asha, environment)
    asking = asyncio.create_task(asha.get(f"{path}/news?after=reserved"))
    await asyncio.sleep(0.2)
    assert not asking.done()
    await asha.post(f"{path}/release")
    async with asyncio.timeout(PROMPTLY_SECONDS):
        assert (await asking).json() == {"state": "released"}


async def test_switching_to_what_is_gone_says_so(environment: Environment, asha: Browser, bina: Browser) -> None:
    await hold(asha, environment, 10)
    await hold(bina, environment, 11)
    busy = await asha.post(
        f"/doctor/{OTHER_PROVIDER}/dr-2/{ONLINE}?day={day_of(environment)}", {"start": environment.at(9)}
    )
    assert busy.headers["location"].startswith("/busy?for=hold")
    page = await asha.get(busy.headers["location"])
    assert "You already hold 10:00 am" in page.text
    wanted: dict[str, object] = {
        "for": "hold",
        "provider": PROVIDER,
        "clinic": ONLINE,
        "start": environment.at(11),
        "n": 1,
    }
    lost = await asha.fill(f"/busy?{urlencode(wanted)}")
    assert lost.status_code == 409
    assert "11:00 am has just been taken. These times are free:" in lost.text
    # With nothing in the way, the clash is none.
    again = await asha.get(f"/busy?{urlencode(wanted)}")
    assert again.headers["location"].startswith(CHART)


async def test_a_second_click_on_the_switch_gives_up_nothing_more(environment: Environment, asha: Browser) -> None:
    first = await hold(asha, environment, 10)
    wanted: dict[str, object] = {
        "for": "hold",
        "provider": PROVIDER,
        "clinic": ONLINE,
        "start": environment.at(11),
        "n": 1,
    }
    path = f"/busy?{urlencode(wanted)}"
    page = await asha.get(path)
    form = dict(re.findall(r'name="(key|has)" value="([^"]+)"', page.text))
    answers = [*await asyncio.gather(*(asha.post(path, form) for _ in range(3))), await asha.post(path, form)]
    [held] = {answer.headers["location"] for answer in answers}
    assert f"/doctor/{PROVIDER}/hold/" in held
    assert "11:00 am is held for you" in (await asha.get(held)).text
    assert "10:00 was released" in (await asha.get(first)).text.replace(" am", "")
    # Nor does a page of before, when something else is held by now.
    wanted["start"] = environment.at(9)
    stale = await asha.post(f"/busy?{urlencode(wanted)}", {"has": first.rpartition("/")[2]})
    assert stale.headers["location"].startswith("/busy?")
    assert "11:00 am is held for you" in (await asha.get(held)).text


async def test_a_queue_that_cannot_be_joined_in_exchange_says_so(
    environment: Environment, asha: Browser, bina: Browser
) -> None:
    booked = await hold(bina, environment, 18, f"/doctor/{PROVIDER}/dr-1/{FREE}")
    await bina.post(booked, {"name": "Bina"})
    await hold(asha, environment, 10)
    line = {"for": "line", "provider": PROVIDER, "clinic": FREE, "from": environment.at(0), "to": environment.at(24)}
    path = f"/busy?{urlencode(line)}"
    refused = await asha.fill(path)
    assert refused.status_code == 409
    assert "All these times are booked" in refused.text
    # And what is chosen there then is sent to the line.
    assert f'action="/doctor/{PROVIDER}/dr-1/{FREE}/line?day={day_of(environment)}&amp;part=morning' in refused.text
    # With nothing in the way it leads to the line, of the day as the clinic has it.
    led = await asha.get(path)
    assert f"/line?day={day_of(environment)}&part=morning&n=1&what=day" in led.headers["location"]
    # As far as the pages of lines go, no further: a longer wait would be looked through time by time.
    far = await asha.get(f"/busy?{urlencode({**line, 'from': '2000-01-01T00:00:00Z', 'to': '2199-01-01T00:00:00Z'})}")
    assert far.status_code == 404


@pytest.mark.dates
async def test_switching_from_a_queue_and_to_one(environment: Environment, asha: Browser, bina: Browser) -> None:
    await hold(bina, environment, 18, f"/doctor/{PROVIDER}/dr-1/{FREE}")
    await hold(asha, environment, 10)
    line = {
        "for": "line",
        "provider": PROVIDER,
        "clinic": FREE,
        "from": environment.at(17),
        "to": environment.at(24),
        "n": 1,
    }
    assert "Cancel hold and join the queue" in (await asha.get(f"/busy?{urlencode(line)}")).text
    joined = await asha.fill(f"/busy?{urlencode(line)}")
    assert f"/doctor/{PROVIDER}/wait/" in joined.headers["location"]
    other = {"for": "hold", "provider": PROVIDER, "clinic": ONLINE, "start": environment.at(10), "n": 1}
    assert "Leave the queue and hold this" in (await asha.get(f"/busy?{urlencode(other)}")).text
    held = await asha.fill(f"/busy?{urlencode(other)}")
    assert f"/doctor/{PROVIDER}/hold/" in held.headers["location"]
    states = await environment.db.fetch("SELECT state::text AS state FROM booking.ticket")
    assert [row["state"] for row in states] == ["left"]
