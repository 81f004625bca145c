"""What pages promise besides their content: headers, cookies, where forms may come from, errors, addresses of files."""

from __future__ import annotations

import base64
import gzip
import re
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from litestar import Litestar

from healthplus.accounts.secret import Secret
from healthplus.database import Database
from healthplus.settings import Settings
from healthplus.web.assets import ASSETS, asset_url
from healthplus.web.pages import rendering
from healthplus.web.pages.session import Site, local_path
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.web.client import Client
from tests.web.phone import CONSENT, NUMBER, Phone

FORM = {"phone": NUMBER, "consent": CONSENT, "key": "once"}


async def submit(http: httpx.AsyncClient, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
    return await http.post(path, data=form, headers=headers)


async def sign_in(http: httpx.AsyncClient, phone: Phone, back_to: str = "/privacy") -> httpx.Response:
    messages = len(phone.messages) + 1
    sent = await submit(http, f"/verify?next={back_to}", {**FORM, "key": str(len(phone.messages))})
    assert sent.headers["location"].startswith("/verify/code"), sent.text
    code = await phone.code(messages)
    return await submit(http, sent.headers["location"], {"code": code, "key": "two"})


async def test_every_page_is_guarded(http: httpx.AsyncClient) -> None:
    for path, status in (
        ("/", 200),
        ("/hi/", 200),
        ("/help", 200),
        ("/verify", 200),
        ("/nothing", 404),
        ("/sign-out", 405),
    ):
        page = await http.get(path)
        assert page.status_code == status
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cross-origin-opener-policy"] == "same-origin"
        assert "strict-transport-security" not in page.headers
        assert not re.search(r"<script(?! type=\"module\" src=)|<style|\sstyle=|\son[a-z]+=", page.text)
        assert f'lang="{"hi" if path.startswith("/hi") else "en"}"' in page.text


async def test_only_https_has_prefixed_secure_cookies(http: httpx.AsyncClient, app: Litestar, phone: Phone) -> None:
    answer = await sign_in(http, phone)
    [session, verify, device, just_changed] = answer.headers.get_list("set-cookie")
    assert (answer.status_code, answer.headers["location"]) == (303, "/privacy")
    assert session.startswith("session=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=7776000"} <= set(session.split("; "))
    assert "Secure" not in session
    assert verify.startswith('verify="";')
    assert device.startswith("device=")
    assert just_changed.startswith("just-changed=1; HttpOnly; Max-Age=2;")
    assert {"HttpOnly", "SameSite=lax", "Max-Age=34560000"} <= set(device.split("; "))
    app.state.site = replace(app.state.site, https=True, hsts=True)
    page = await submit(http, "/verify", {**FORM, "phone": "+919111143210"})
    assert page.headers["set-cookie"].startswith("__Host-verify=")
    assert "; Secure" in page.headers["set-cookie"]
    assert page.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("url", "https", "hsts"),
    [
        ("http://127.0.0.1:8000", False, False),
        ("http://localhost:8000", False, False),
        ("https://localhost", True, True),
        ("https://healthplus.example", True, True),
        ("http://healthplus.example", True, False),
        ("http://0.0.0.0:8000", True, False),
    ],
)
def test_where_cookies_are_secure(url: str, https: bool, hsts: bool) -> None:
    site = Site.of(Settings.from_environment({"HEALTHPLUS_PUBLIC_URL": url}))
    assert (site.https, site.hsts) == (https, hsts)


async def test_forms_of_other_sites_are_refused(http: httpx.AsyncClient, phone: Phone) -> None:
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "origin": "http://healthplus.test"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ):
        refused = await submit(http, "/verify", FORM, **headers)
        assert refused.status_code == 403
        assert "Nothing was changed" in refused.text
    assert phone.messages == []
    for number, headers in enumerate(({"sec-fetch-site": "same-origin"}, {"origin": "http://healthplus.test"}, {}), 1):
        sent = await submit(http, "/verify", {**FORM, "phone": f"+919876{number}43210"}, **headers)
        assert sent.status_code == 303


async def test_a_cookie_that_was_not_sealed_here_is_none(http: httpx.AsyncClient, app: Litestar, phone: Phone) -> None:
    """Forged ones are not parsed at all: one with the year 9999 was a fault."""
    sent = await submit(http, "/verify", FORM)
    genuine = sent.cookies["verify"]
    ends = '"9999-12-31T23:59:59Z"'
    forged = f'{{"challenge_id":"{UUID(int=7)}","phone":"{NUMBER}","expires_at":{ends},"resend_at":{ends}}}'.encode()
    plain = base64.urlsafe_b64encode(forged).decode()
    other = Secret("another key, which is long enough for this")
    content, _, seal = genuine.partition(".")
    own = app.state.services.secret.seal
    for value in (
        *(plain, f"{plain}.", f"{plain}.{seal}", f"{content}.", f"{content}.{seal[:-1]}", f"{content}.{seal}="),
        *(".", "a.b", "x" * 4001, other.seal("cookie verify", forged), own("cookie wait", forged)),
        *(own("cookie verify", b"null"), own("cookie verify", b"{")),
    ):
        for name, path in (("verify", "/verify/code"), ("wait", "/verify/wait")):
            http.cookies.clear()
            http.cookies.set(name, value)
            assert (await http.get(path)).headers["location"] == "/verify"
            assert (await submit(http, path, {"code": "123456", "again": "1"})).headers["location"] == "/verify"
    http.cookies.clear()
    http.cookies.set("verify", genuine)
    assert (await http.get("/verify/code")).status_code == 200
    await app.state.services.code_messages.drain()
    assert len(phone.messages) == 1


async def test_a_second_click_gives_the_first_result(http: httpx.AsyncClient, phone: Phone, db: Database) -> None:
    first, second = [await submit(http, "/verify", FORM) for _ in range(2)]
    assert first.headers["location"] == second.headers["location"] == "/verify/code"
    code = await phone.code(1)
    http.cookies.set("verify", first.cookies["verify"])
    signed_in = [await submit(http, "/verify/code", {"code": code, "key": "two"}) for _ in range(1)]
    http.cookies.set("verify", first.cookies["verify"])
    token = http.cookies["session"]
    del http.cookies["session"]
    signed_in.append(await submit(http, "/verify/code", {"code": code, "key": "two"}))
    assert {answer.headers["location"] for answer in signed_in} == {"/"}
    assert http.cookies["session"] == token
    assert await db.fetch_value("SELECT count(*) FROM accounts.session WHERE agent IS NOT NULL") == 4
    # Who goes back and corrects the number sends the same form with something else in it.
    corrected = await submit(http, "/verify", {**FORM, "phone": "+919111143210"})
    assert corrected.status_code == 303


async def test_wrong_expired_and_broken_codes(http: httpx.AsyncClient, phone: Phone, environment: Environment) -> None:
    assert (await http.get("/verify/code")).headers["location"] == "/verify"
    await submit(http, "/verify", FORM)
    wrong = f"{(int(await phone.code(1)) + 1) % 10**6:06}"
    for text, said in (
        ("12", "six digits"),
        (wrong, "4 more tries"),
        (wrong, "3 more"),
        (wrong, "2 more"),
        (wrong, "1 more try."),
    ):
        page = await submit(http, "/verify/code", {"code": text, "key": "same"})
        assert page.status_code == 422
        # Once, at the field, which has the focus.
        assert re.findall(r'class="error" id="code-error">[^<]*' + said, page.text)
        assert 'id="error"' not in page.text
        assert re.search(r'<input id="code"[^>]* autofocus', page.text)
        assert "98765 43210" in page.text
    last = await submit(http, "/verify/code", {"code": wrong})
    assert "the last try" in last.text
    for ended in (last, await http.get("/verify/code")):
        assert 'id="code"' not in ended.text
        assert re.search(r'<button class="button wide" [^>]*data-from="[^>]*>Send a new code', ended.text)
    assert "Too many wrong codes" in (await submit(http, "/verify/code", {"code": wrong})).text
    await environment.pass_time(minutes=6)
    over = await submit(http, "/verify/code", {"code": wrong})
    assert (over.status_code, "five minutes are over" in over.text) == (410, True)
    for broken in ("x", "e30=", "%00", "9" * 5000, "bm9uZQ"):
        http.cookies.set("verify", broken)
        assert (await http.get("/verify/code")).status_code == 303
    outdated = await submit(http, "/verify", {**FORM, "consent": "2000-01-01", "key": "other"})
    assert (outdated.status_code, "has changed" in outdated.text) == (409, True)
    for number, said in (("", "not a phone number"), ("020 2612 7394", "cannot reach"), ("\x00", "not a phone number")):
        page = await submit(http, "/verify", {**FORM, "phone": number})
        assert (page.status_code, said in page.text) == (422, True)


def test_only_paths_of_this_site_are_led_back_to() -> None:
    for path in ("/", "/doctor/1/asha/2?day=2026-11-24&n=2", "/in/pune#x"):
        assert local_path(path) == path
    assert local_path("/hi/privacy") == "/privacy"
    for other in (
        "", None, "x", "//evil.example", "/\\evil.example", "/hi//evil.example", "https://evil.example",
        "/\t/evil.example", "/x\r\nSet-Cookie: a=b", "/" + "x" * 2000, "javascript:alert(1)", "/हि",
    ):  # fmt: skip
        assert local_path(other) == "/"


async def test_signing_out_ends_the_session(http: httpx.AsyncClient, phone: Phone) -> None:
    await sign_in(http, phone)
    token = http.cookies["session"]
    assert "••• 3210" in (await http.get("/help")).text
    answer = await submit(http, "/sign-out", {})
    assert (answer.headers["location"], answer.headers["clear-site-data"]) == ("/signed-out", '"cache"')
    assert "session" not in http.cookies
    http.cookies.set("session", token)
    assert "Sign in" in (await http.get("/help")).text
    assert (await http.get("/privacy/erase")).headers["location"] == "/verify?next=%2Fprivacy%2Ferase"


async def test_my_data_by_pages(http: httpx.AsyncClient, phone: Phone, environment: Environment) -> None:
    await sign_in(http, phone)
    api = Client(http, http.cookies["session"])
    held = (await api.post(f"providers/{PROVIDER}/holds", {"clinic_id": AT_CLINIC, "start": environment.at(13)})).json()
    page = (await http.get("/hi/help")).text
    assert f'href="/hi/doctor/{PROVIDER}/hold/{held["id"]}"' in page
    await api.post(f"{held['url']}/payment", {"method": "x"})
    assert "Clinic 2" in (await http.get("/")).text
    export = await http.get("/privacy/export")
    assert export.headers["content-disposition"].startswith("attachment")
    assert export.json()["profile"]["phone"] == NUMBER
    refused = await submit(http, "/privacy/erase", {})
    assert (refused.status_code, "Cancel them first" in refused.text) == (409, True)
    withdrawn = await submit(http, "/privacy/withdraw", {})
    assert withdrawn.headers["location"] == "/privacy/withdrawn?booked=1"
    assert "1 appointment stays booked" in (await http.get(withdrawn.headers["location"])).text
    assert (await submit(http, "/privacy/withdraw", {})).headers["location"] == "/privacy"
    assert (await http.get("/privacy/withdrawn?booked=-1&given_up=x")).status_code == 200
    await environment.pass_time(minutes=1)
    await sign_in(http, phone)
    api = Client(http, http.cookies["session"])
    await api.delete(f"providers/{PROVIDER}/appointments/{held['id']}")
    erased = await submit(http, "/privacy/erase", {})
    assert erased.headers["location"] == "/privacy/erased"
    assert await environment.db.fetch_value("SELECT count(*) FROM accounts.patient WHERE phone = $1", NUMBER) == 0


def _script_sizes(sizes: dict[str, int]) -> dict[str, int]:
    """Return, by template of patients, how large all scripts are that its page may load, with what they import."""
    imports = {
        name: set(re.findall(r'from ?"\./([\w.]+)"', ASSETS[name].body.decode()))
        for name in sizes
        if name.endswith(".js")
    }
    folder = Path(rendering.__file__).parents[1] / "templates"
    on_all = {"app.js", "live.js"}  # layout.html and personal/live_bar.html
    found = {}
    for path in folder.rglob("*.html"):
        named = set(re.findall(r'asset\("([\w.]+\.js)"\)', path.read_text("utf-8")))
        if not named or not named <= {*imports}:
            continue
        scripts: set[str] = set()
        todo = named | on_all
        while todo:
            scripts |= todo
            todo = set().union(*(imports[one] for one in todo)) - scripts
        found[path.name] = sum(sizes[one] for one in scripts)
    return found


async def test_files_are_kept_for_good_and_change_their_address(http: httpx.AsyncClient) -> None:
    page = (await http.get("/")).text
    for name in re.findall(r'/static/\w+/([\w.]+)"', page):
        assert asset_url(name) in page
    for name, asset in ASSETS.items():
        plain = await http.get(asset_url(name), headers={"accept-encoding": "identity"})
        assert plain.content == asset.body
        assert "immutable" in plain.headers["cache-control"]
        squeezed = await http.get(asset_url(name), headers={"accept-encoding": "gzip"})
        assert (squeezed.headers["content-encoding"], squeezed.content) == ("gzip", asset.body)
        unchanged = await http.get(asset_url(name), headers={"if-none-match": plain.headers["etag"]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        other = await http.get(f"/static/older/{name}")
        assert (other.status_code, other.headers["cache-control"]) == (200, "no-store")
    for name in ("none.css", "..%2fapp.py", "%00"):
        assert (await http.get(f"/static/x/{name}")).status_code == 404
    sizes = {name: len(gzip.compress(asset.body)) for name, asset in ASSETS.items()}
    of_staff = {name: sizes.pop(name) for name in ("office.css", "office.js", "desk.js")}  # on no patient's page
    assert {name for name, size in sizes.items() if name.endswith(".css") and size > 9_700} == set()
    assert max(_script_sizes(sizes).values()) <= 9_000
    assert sum(of_staff.values()) <= 5_700
    assert len(ASSETS["icons.svg"].body) <= 8_000


async def test_the_colours_have_their_contrast() -> None:
    """The ratios of the tokens, by WCAG's formula: text 4.5, edges of controls 3."""
    css = ASSETS["app.css"].body.decode()
    light, dark = (dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{3,6})[;}]", part)) for part in css.split("@media", 2)[:2])
    for tokens in (light, {**light, **dark}):
        for front, back, least in (
            ("text", "surface", 7), ("text", "canvas", 7), ("muted", "canvas", 4.5), ("muted", "surface", 4.5),
            ("brand", "surface", 4.5), ("brand", "canvas", 4.5), ("brand", "tint", 4.5), ("on-brand", "brand", 4.5),
            ("on-tint", "tint", 4.5), ("on-deep", "deep", 7), ("on-deep", "deep-soft", 7), ("on-deep-soft", "deep", 7),
            ("on-deep-soft", "deep-soft", 4.5), ("dot", "deep", 4.5), ("on-dot", "dot", 7), ("star", "surface", 3),
            ("held", "held-surface", 4.5), ("booked", "booked-surface", 4.5), ("danger", "surface", 4.5),
            ("danger", "canvas", 4.5), ("danger", "danger-surface", 4.5), ("text", "danger-surface", 7),
            ("on-danger", "danger", 4.5), ("success", "surface", 4.5), ("success", "success-surface", 4.5),
            ("control", "surface", 3), ("held-edge", "held-surface", 3), ("focus", "canvas", 3),
        ):  # fmt: skip
            assert _contrast(tokens[front], tokens[back]) >= least, (front, back)
    tints = re.findall(r"--square:(#\w+);--fill:(#\w+);--ink:(#\w+)[;}]", css)
    assert len(tints) == 12
    for square, fill, ink in tints:
        assert _contrast(ink, square) >= 4.5, ink
        assert _contrast(ink, fill) >= 4.5, ink  # initials


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


async def test_without_a_directory_the_start_says_how_to_get_one(http: httpx.AsyncClient, db: Database) -> None:
    await db.execute(
        "DELETE FROM schedule.shift; DELETE FROM directory.provider_clinic; DELETE FROM directory.provider; "
        "DELETE FROM directory.clinic; DELETE FROM directory.city; DELETE FROM booking.book"
    )
    page = await http.get("/")
    assert "healthplus import hospitals.csv" in page.text


async def test_a_fault_is_a_page_too(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError(NUMBER)

    monkeypatch.setattr("healthplus.web.pages.information.page", fail)
    page = await http.get("/hi/help")
    assert (page.status_code, "कुछ गड़बड़" in page.text, NUMBER in page.text) == (500, True, False)
    too_large = await submit(http, "/verify", {"phone": "9" * 20_000})
    assert (too_large.status_code, too_large.headers["content-type"]) == (413, "text/html; charset=utf-8")
