"""The desk's log-in and account pages, as forms that need no script."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx
import pytest
from litestar import Litestar

from healthplus.database import Database
from healthplus.staff.accounts import disable_staff, make_link, set_role
from tests.fixtures.clock import move_clock
from tests.fixtures.staff import APP_SECRET, OPERATOR, PASSWORD, SHORT_PASSWORD, cheap_hashes, code_of, make_staff
from tests.web.client import Browser
from tests.web.test_appointments_pages import words
from tests.web.test_staff_routes import desk_routes

IN = {"log_on": "meera", "password": PASSWORD}


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)


@pytest.fixture
def desk(app: Litestar) -> Browser:
    return Browser(app)


async def add(app: Litestar, db: Database, log_on: str = "meera", **more: Any) -> int:
    """Add a member of the staff whose app, if any, was sealed with this product's own key."""
    return await make_staff(db, log_on, secret=app.state.services.secret, **more)


async def logged_in(app: Litestar, db: Database, **more: Any) -> Browser:
    await add(app, db, **more)
    browser = Browser(app)
    answer = await browser.post("/desk/log-in", IN)
    assert answer.headers["location"] == "/desk", answer.text
    return browser


def whose(page: str) -> str:
    """Return whose session a page says it is."""
    found = re.search(r'<p class="whose">.*?<strong>(.*?)</strong>', page)
    assert found, page
    return found[1]


def goes_to(answer: httpx.Response) -> str:
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def test_what_the_browser_keeps_of_a_log_in_ends_on_the_server(app: Litestar, db: Database) -> None:
    """The cookie after the password is of no use five minutes later, also where a browser still sends it."""
    await add(app, db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    for minutes, path in ((4, "/desk"), (6, None)):
        browser = Browser(app)
        answer = await browser.post("/desk/log-in", {"log_on": "meera", "password": SHORT_PASSWORD})
        assert goes_to(answer).startswith("/desk/log-in/code")
        await move_clock(db, minutes=minutes)
        await app.state.services.clock.follow()
        answer = await browser.post("/desk/log-in/code", {"code": await code_of(db)})
        assert answer.headers.get("location") == path, answer.text
        assert ("desk" in browser.http.cookies) == (path is not None)


async def test_logging_in_and_out(app: Litestar, db: Database, desk: Browser) -> None:
    await add(app, db)
    assert goes_to(await desk.get("/desk/account")) == "/desk/log-in?next=%2Fdesk%2Faccount"
    page = await desk.get("/desk/log-in?next=/desk/account")
    assert page.status_code == 200
    assert page.headers["cache-control"] == "no-store"
    answer = await desk.post("/desk/log-in?next=/desk/account", IN)
    assert goes_to(answer) == "/desk/account"
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("desk="))
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=86400"} <= set(cookie.split("; "))
    opened = (await desk.get("/desk")).text
    first = words(opened)
    assert whose(opened) == "Meera Rao"
    for said in ("Clinic 1 Front desk", "Ask the ward administrator to change an appointment"):
        assert said in first
    assert "refund" not in first  # not the desk's
    token = desk.http.cookies["desk"]
    assert goes_to(await desk.post("/desk/log-out")) == "/desk/log-in"
    assert "desk" not in desk.http.cookies
    desk.http.cookies.set("desk", token)
    assert goes_to(await desk.get("/desk")) == "/desk/log-in?next=%2Fdesk"


async def test_staff_and_patients_are_apart(app: Litestar, db: Database, desk: Browser) -> None:
    """A patient's cookie opens no desk, and a member of the staff is no patient."""
    await add(app, db)
    await desk.post("/desk/log-in", IN)
    token = desk.http.cookies["desk"]
    other = Browser(app, token)
    assert goes_to(await other.get("/desk")) == "/desk/log-in?next=%2Fdesk"
    assert goes_to(await other.get("/appointments")).startswith("/verify")
    assert goes_to(await desk.get("/appointments")).startswith("/verify")


@pytest.mark.parametrize(
    "next_path",
    [
        "//evil.example",
        "https://evil.example/desk",
        "/desk/../",
        "/desk/../../x",
        "/desk/%2e%2E/x",
        "/appointments",
        "/deskx",
    ],
)
async def test_one_comes_back_to_the_desk_only(app: Litestar, db: Database, desk: Browser, next_path: str) -> None:
    await add(app, db)
    location = goes_to(await desk.post(f"/desk/log-in?next={next_path}", IN))
    assert location == "/desk"


async def test_wrong_and_unknown_are_told_alike(app: Litestar, db: Database, desk: Browser) -> None:
    await add(app, db)
    said = set()
    for log_on in ("meera", "nobody", ""):
        answer = await desk.post("/desk/log-in", {"log_on": log_on, "password": "monsoon kettle zebra"})
        assert answer.status_code == 422
        text = answer.text.replace(f'value="{log_on}"', "")
        said.add(re.sub(r'data-now="[^"]+"', "", text))
    assert len(said) == 1
    assert "don’t belong together" in said.pop()


async def test_guesses_are_told_to_wait(app: Litestar, db: Database, desk: Browser) -> None:
    for _ in range(10):
        assert (await desk.post("/desk/log-in", {"log_on": "x", "password": "wrong"})).status_code == 422
    answer = await desk.post("/desk/log-in", {"log_on": "x", "password": "wrong"})
    assert answer.status_code == 429
    assert "Try again in" in answer.text


async def test_a_code_comes_after_the_password(app: Litestar, db: Database, desk: Browser) -> None:
    await add(app, db, password=SHORT_PASSWORD, app_secret=APP_SECRET)
    await move_clock(db, minutes=2)
    asked = await desk.post("/desk/log-in?next=/desk/account", {"log_on": "meera", "password": SHORT_PASSWORD})
    assert goes_to(asked) == "/desk/log-in/code?next=%2Fdesk%2Faccount"
    assert goes_to(await desk.get("/desk")).startswith("/desk/log-in")  # not in yet
    assert (await desk.get("/desk/log-in/code")).status_code == 200
    wrong = await desk.post("/desk/log-in/code", {"code": "12"})
    assert wrong.status_code == 422
    assert "Take the next one from your app" in wrong.text
    code = await code_of(db)
    assert goes_to(await desk.post("/desk/log-in/code?next=/desk/account", {"code": code})) == "/desk/account"
    # Neither the code nor the password's half serves again.
    replay = Browser(app)
    assert goes_to(await replay.get("/desk/log-in/code")).startswith("/desk/log-in?")
    assert "took too long" in (await replay.post("/desk/log-in/code", {"code": code})).text
    await replay.post("/desk/log-in", {"log_on": "meera", "password": SHORT_PASSWORD})
    assert (await replay.post("/desk/log-in/code", {"code": code})).status_code == 422


async def test_a_planted_session_is_not_taken_over(app: Litestar, db: Database, desk: Browser) -> None:
    await add(app, db)
    await add(app, db, "attacker")
    attacker = Browser(app)
    await attacker.post("/desk/log-in", {"log_on": "attacker", "password": PASSWORD})
    planted = attacker.http.cookies["desk"]
    answer = await desk.post("/desk/log-in", IN, {"cookie": f"desk={planted}"})
    assert answer.cookies["desk"] != planted
    assert whose((await desk.get("/desk")).text) == "Meera Rao"
    assert goes_to(await attacker.get("/desk")).startswith("/desk/log-in")


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}]
)
async def test_forms_of_other_sites_do_nothing(app: Litestar, db: Database, headers: dict[str, str]) -> None:
    desk = await logged_in(app, db)
    for path in ("/desk/log-out", "/desk/lock", "/desk/account/log-out-everywhere", "/desk/log-in", "/desk/prove"):
        assert (await desk.post(path, IN, headers)).status_code == 403
    assert (await desk.get("/desk")).status_code == 200


async def test_a_locked_screen_shows_nothing_until_it_is_opened(app: Litestar, db: Database) -> None:
    desk = await logged_in(app, db)
    assert goes_to(await desk.post("/desk/lock?next=/desk/account")) == "/desk/locked?next=%2Fdesk%2Faccount"
    assert goes_to(await desk.get("/desk/account")) == "/desk/locked?next=%2Fdesk%2Faccount"
    assert goes_to(await desk.post("/desk/account/log-out-everywhere")) == "/desk/locked?next=%2Fdesk"
    locked = await desk.get("/desk/locked?next=/desk/account")
    assert "Show that you are Meera Rao" in locked.text
    assert (await desk.post("/desk/prove", {"password": "wrong"})).status_code == 422
    assert goes_to(await desk.post("/desk/prove?next=/desk/account", {"password": PASSWORD})) == "/desk/account"
    assert (await desk.get("/desk/account")).status_code == 200
    assert goes_to(await desk.get("/desk/locked?next=/desk/account")) == "/desk/account"
    await move_clock(db, minutes=9, seconds=50)
    assert (await desk.post("/desk/seen")).status_code == 204
    await move_clock(db, minutes=9, seconds=50)
    assert (await desk.get("/desk")).status_code == 200
    await move_clock(db, minutes=10)
    assert goes_to(await desk.get("/desk")).startswith("/desk/locked")


async def test_another_takes_a_shared_computer_over(app: Litestar, db: Database) -> None:
    desk = await logged_in(app, db)
    former = desk.http.cookies["desk"]
    await add(app, db, "asha")
    await desk.post("/desk/lock")
    assert "Once you log in, that session ends" in (await desk.get("/desk/switch")).text
    assert goes_to(await desk.post("/desk/log-in", {"log_on": "asha", "password": PASSWORD})) == "/desk"
    assert whose((await desk.get("/desk")).text) == "Asha Rao"
    desk.http.cookies.set("desk", former)
    assert goes_to(await desk.get("/desk")).startswith("/desk/log-in")


async def test_a_link_leads_to_the_first_log_in(app: Litestar, db: Database, desk: Browser) -> None:
    staff_id = await add(app, db)
    link = await make_link(db, staff_id, OPERATOR)
    path = f"/desk/welcome?link={link}"
    page = await desk.get(path)
    assert "For Meera Rao , whose log-on ID is meera ." in words(page.text)
    weak = await desk.post(path, {"password": "meera meera meera"})
    assert weak.status_code == 422
    given = dict(re.findall(r'name="(app)" value="([^"]+)"', page.text))
    secret = words(page.text).split("with this key: ")[1][:39].replace(" ", "")
    assert re.fullmatch(r"[A-Z2-7]{32}", secret)
    short = {**given, "password": SHORT_PASSWORD, "code": await code_of(db, secret)}
    assert (await desk.post(path, {**short, "app": "forged"})).status_code == 422
    assert goes_to(await desk.post(path, short)) == "/desk/log-in?next=%2Fdesk"
    assert (await desk.post(path, short)).status_code == 410
    assert (await desk.get(path)).status_code == 410
    assert (await desk.get("/desk/welcome")).status_code == 410
    await move_clock(db, seconds=60)
    asked = await desk.post("/desk/log-in", {"log_on": "meera", "password": SHORT_PASSWORD})
    assert goes_to(asked).startswith("/desk/log-in/code")
    assert goes_to(await desk.post("/desk/log-in/code", {"code": await code_of(db, secret)})) == "/desk"


async def test_what_one_logs_in_with_is_changed_after_showing_who_one_is(app: Litestar, db: Database) -> None:
    desk = await logged_in(app, db)
    account = "/desk/account"
    assert "It has 15 characters or more" in (await desk.get(account)).text
    await move_clock(db, minutes=6)
    assert goes_to(await desk.get(f"{account}/password")) == "/desk/prove?next=%2Fdesk%2Faccount%2Fpassword"
    assert goes_to(await desk.post(f"{account}/password", {"password": "x"})) == (
        "/desk/prove?next=%2Fdesk%2Faccount%2Fpassword"
    )
    assert goes_to(await desk.post(f"{account}/app/remove")) == "/desk/prove?next=%2Fdesk%2Faccount"
    assert "show again that you are" in (await desk.get("/desk/prove?next=/desk/account/password")).text
    back = await desk.post("/desk/prove?next=/desk/account/password", {"password": PASSWORD})
    assert goes_to(back) == f"{account}/password"
    assert (await desk.post(f"{account}/password", {"password": "short"})).status_code == 422
    new = "lantern pickle orbit"
    assert goes_to(await desk.post(f"{account}/password", {"password": new})) == f"{account}?done=password"
    assert "Your password is changed" in (await desk.get(f"{account}?done=password")).text
    page = (await desk.get(f"{account}/app")).text
    given = dict(re.findall(r'name="(app)" value="([^"]+)"', page))
    secret = words(page).split("with this key: ")[1][:39].replace(" ", "")
    assert (await desk.post(f"{account}/app", {**given, "code": "1"})).status_code == 422
    done = await desk.post(f"{account}/app", {**given, "code": await code_of(db, secret)})
    assert goes_to(done) == f"{account}?done=app"
    assert "You are asked for its code" in (await desk.get(account)).text
    assert goes_to(await desk.post(f"{account}/password", {"password": SHORT_PASSWORD})) == f"{account}?done=password"
    kept = await desk.post(f"{account}/app/remove")
    assert kept.status_code == 409
    assert "so it needs a second factor" in kept.text
    assert "localhost" in html.unescape((await desk.get(account)).text)  # no passkeys at this address
    assert goes_to(await desk.get(f"{account}/passkey")) == account


async def test_sessions_are_listed_and_ended(app: Litestar, db: Database) -> None:
    desk = await logged_in(app, db)
    other = Browser(app)
    await other.post("/desk/log-in", IN, {"user-agent": "Firefox Android"})
    page = (await desk.get("/desk/account")).text
    assert "Firefox on Android" in page
    [end] = re.findall(r'action="(/desk/account/session/[^"]+/end)"', page)
    assert goes_to(await desk.post(end)) == "/desk/account?done=ended"
    assert goes_to(await other.get("/desk")).startswith("/desk/log-in")
    assert goes_to(await desk.post("/desk/account/log-out-everywhere")) == "/desk/log-in"
    assert goes_to(await desk.get("/desk")).startswith("/desk/log-in")


async def test_a_disabled_account_is_out_at_its_next_request(app: Litestar, db: Database) -> None:
    desk = await logged_in(app, db)
    staff_id = await db.fetch_value("SELECT staff_id FROM staff.account")
    assert (await desk.get("/desk")).status_code == 200
    await disable_staff(db, staff_id, OPERATOR)
    assert goes_to(await desk.get("/desk")).startswith("/desk/log-in")


async def test_who_has_no_role_is_told(app: Litestar, db: Database) -> None:
    desk = await logged_in(app, db)
    staff_id = await db.fetch_value("SELECT staff_id FROM staff.account")
    await set_role(db, staff_id, 1, None, OPERATOR)
    assert "no role at any clinic" in (await desk.get("/desk")).text


async def test_in_hindi(app: Litestar, db: Database, desk: Browser) -> None:
    await add(app, db)
    assert goes_to(await desk.get("/hi/desk")) == "/hi/desk/log-in?next=%2Fdesk"
    assert goes_to(await desk.post("/hi/desk/log-in", IN)) == "/hi/desk"
    assert "फ्रंट डेस्क" in (await desk.get("/hi/desk")).text


async def test_a_passkey_needs_its_own_challenge(app: Litestar, db: Database, desk: Browser) -> None:
    await add(app, db)
    for answer in ("{", "null", '{"rawId": "AAAA"}', '{"rawId": 5}', "[]", '"x"'):
        refused = await desk.post("/desk/log-in", {"answer": answer})
        assert refused.status_code == 422
        assert "passkey couldn’t be used" in refused.text


async def test_every_form_leaves_a_row_of_the_audit(app: Litestar, db: Database) -> None:
    """Each route that changes something, by its own form; what only notes that somebody is there leaves none."""
    staff_id = await add(app, db)
    desk = Browser(app)
    account = "/desk/account"
    passkey = "SELECT passkey_id FROM staff.passkey"
    add_passkey = """SELECT staff.add_passkey(token_hash, sha256('id'), 'key', 0, '', '')
        FROM staff.session WHERE ended_at IS NULL"""
    end = "SELECT session_id FROM staff.session WHERE ended_at IS NULL ORDER BY created_at LIMIT 1"
    app_page = r'name="(app)" value="([^"]+)"'
    done: dict[str, list[str]] = {}

    async def send(route: str, form: dict[str, str] | None = None, path: str | None = None) -> None:
        before = await db.fetch_value("SELECT coalesce(max(entry_id), 0) FROM staff.audit_entry")
        answer = await desk.post(path or route, form)
        assert answer.status_code in (204, 303), (route, answer.text)
        rows = await db.fetch("SELECT action, is_refused FROM staff.audit_entry WHERE entry_id > $1", before)
        assert not any(row["is_refused"] for row in rows)
        done[f"POST {route}"] = [row["action"] for row in rows]

    link = await make_link(db, staff_id, OPERATOR)
    await send("/desk/welcome", {"password": PASSWORD}, f"/desk/welcome?link={link}")
    await Browser(app).post("/desk/log-in", IN)
    await send("/desk/log-in", IN)
    await send("/desk/seen")
    await send("/desk/lock")
    await send("/desk/prove", {"password": PASSWORD})
    session_id = await db.fetch_value(end)
    await send(f"{account}/session/{{session_id}}/end", path=f"{account}/session/{session_id}/end")
    page = (await desk.get(f"{account}/app")).text
    secret = words(page).split("with this key: ")[1][:39].replace(" ", "")
    await send(f"{account}/app", {**dict(re.findall(app_page, page)), "code": await code_of(db, secret)})
    await db.fetch(add_passkey)
    await send(
        f"{account}/passkey/{{passkey_id}}/remove", path=f"{account}/passkey/{await db.fetch_value(passkey)}/remove"
    )
    await send(f"{account}/password", {"password": "lantern pickle orbit"})
    await desk.post("/desk/log-out")
    await desk.post("/desk/log-in", {"log_on": "meera", "password": "lantern pickle orbit"})
    await move_clock(db, seconds=60)
    await send("/desk/log-in/code", {"code": await code_of(db, secret)})
    await send(f"{account}/app/remove")
    await send("/desk/log-out")
    await desk.post("/desk/log-in", {"log_on": "meera", "password": "lantern pickle orbit"})
    await send(f"{account}/log-out-everywhere")
    assert {route for route, actions in done.items() if not actions} == {"POST /desk/seen"}
    # A browser is needed to add a passkey: tests/pages/test_staff.py does so. Of a clinic: test_office_audit.py.
    changing = {name for name, _ in desk_routes(app) if name.startswith("POST /desk") and "{clinic_id}" not in name}
    assert changing - done.keys() == {"POST /desk/account/passkey"}


async def test_who_tries_what_is_not_theirs_is_noted(app: Litestar, db: Database) -> None:
    desk = await logged_in(app, db)
    for path, clinic_id in (("/office/7/staff", 7), ("/office/staff", None), (f"/office/{10**30}/staff", None)):
        refused = await desk.get(path)
        assert refused.status_code in (403, 404)
        row = await db.fetch_row("SELECT * FROM staff.audit_entry ORDER BY entry_id DESC LIMIT 1")
        assert row is not None
        if refused.status_code == 403:
            assert (row["action"], row["is_refused"], row["clinic_id"]) == ("see_page", True, clinic_id)
            assert row["session_id"] is not None
