from __future__ import annotations

import hashlib
import secrets
from urllib.parse import urlsplit

from playwright.async_api import CDPSession

from healthplus.accounts.actors import System
from healthplus.accounts.sessions import hash_token
from healthplus.staff.accounts import make_link
from tests.pages.states import state
from tests.pages.window import BrowserWindow

TESTS = System("tests")


def localhost(window: BrowserWindow) -> str:
    """Return where the desk is: by this name, browsers have passkeys."""
    return f"http://localhost:{urlsplit(window.product.url).port}"


async def go(window: BrowserWindow, path: str) -> None:
    """Open a page of the desk in the window's language."""
    await window.page.goto(f"{localhost(window)}{window.prefix}{path}")


async def staff_id_of(window: BrowserWindow, log_on: str) -> int:
    found: int = await window.product.database.fetch_value(
        "SELECT staff_id FROM staff.account WHERE log_on = $1", log_on
    )
    return found


async def be(window: BrowserWindow, log_on: str = "demo-ward") -> str:
    """Have a member of the staff be logged in in the window, and nobody elsewhere; return the session's token."""
    token = secrets.token_urlsafe(32)
    database = window.product.database
    await database.execute("DELETE FROM staff.session")
    await database.execute(
        "SELECT staff.begin_session(staff_id, version, $2, NULL, $3, 'Chrome on Windows', '127.0.0.1', 'test') "
        "FROM staff.account WHERE log_on = $1",
        log_on,
        hash_token(token),
        hashlib.sha256(log_on.encode()).digest(),
    )
    await window.context.add_cookies([{"name": "desk", "value": token, "url": localhost(window)}])
    return token


async def authenticator(window: BrowserWindow) -> CDPSession:
    """Give the window's browser a device that keeps passkeys, and whose person always agrees."""
    session = await window.context.new_cdp_session(window.page)
    await session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session


async def log_in(window: BrowserWindow, log_on: str, password: str) -> None:
    await window.page.fill("#log_on", log_on)
    await window.page.fill("#password", password)
    await window.press("Log in")


@state("desk-log-in")
async def log_in_page(window: BrowserWindow) -> None:
    await go(window, "/desk/log-in")


@state("desk-log-in-wrong")
async def wrong(window: BrowserWindow) -> None:
    await window.product.database.execute("DELETE FROM staff.guess")
    await go(window, "/desk/log-in")
    await log_in(window, "demo-ward", "wrong")


@state("desk-too-many")
async def too_many(window: BrowserWindow) -> None:
    database = window.product.database
    await wrong(window)
    await database.execute("UPDATE staff.guess SET used = 1000")
    await log_in(window, "demo-ward", "wrong")
    await database.execute("DELETE FROM staff.guess")


@state("desk-code")
async def code(window: BrowserWindow) -> None:
    database = window.product.database
    await database.execute("DELETE FROM staff.guess")
    await database.execute("UPDATE staff.account SET totp_secret = 'x' WHERE log_on = 'demo-doctor'")
    await go(window, "/desk/log-in")
    await log_in(window, "demo-doctor", window.product.data.staff_password)
    await database.execute("UPDATE staff.account SET totp_secret = NULL WHERE log_on = 'demo-doctor'")


@state("desk")
async def first(window: BrowserWindow) -> None:
    await be(window)
    await go(window, "/desk")


@state("desk-no-role")
async def no_role(window: BrowserWindow) -> None:
    await be(window, "demo-doctor")
    database = window.product.database
    taken = await database.fetch_row(
        "DELETE FROM staff.membership WHERE staff_id = $1 RETURNING staff_id, clinic_id",
        await staff_id_of(window, "demo-doctor"),
    )
    assert taken is not None
    await go(window, "/desk")
    await database.execute("INSERT INTO staff.membership VALUES ($1, $2, 'practitioner')", *taken)


@state("desk-not-found")
async def not_found(window: BrowserWindow) -> None:
    await be(window)
    await go(window, "/desk/nothing-here")


@state("desk-locked")
async def locked(window: BrowserWindow) -> None:
    await be(window)
    await go(window, "/desk/account")
    await window.press("Lock")


@state("desk-switch")
async def switch(window: BrowserWindow) -> None:
    await be(window)
    await go(window, "/desk/switch")


@state("desk-prove")
async def prove(window: BrowserWindow) -> None:
    await be(window)
    await window.product.database.execute("UPDATE staff.session SET proven_at = proven_at - interval '1 hour'")
    await go(window, "/desk/account/password")


@state("desk-welcome")
async def welcome(window: BrowserWindow) -> None:
    database = window.product.database
    link = await make_link(database, await staff_id_of(window, "demo-desk"), TESTS)
    await go(window, f"/desk/welcome?link={link}")


@state("desk-welcome-weak")
async def weak(window: BrowserWindow) -> None:
    await welcome(window)
    await window.page.fill("#password", "password12345678")
    await window.press("Set password")


@state("desk-link-over")
async def link_over(window: BrowserWindow) -> None:
    await go(window, "/desk/welcome?link=x")


@state("desk-account")
async def account(window: BrowserWindow) -> None:
    await be(window)
    await go(window, "/desk/account")


@state("desk-account-factors")
async def factors(window: BrowserWindow) -> None:
    token = await be(window, "demo-admin")
    database = window.product.database
    staff_id = await staff_id_of(window, "demo-admin")
    await database.execute("UPDATE staff.account SET totp_secret = 'x' WHERE staff_id = $1", staff_id)
    await database.execute(
        "SELECT staff.add_passkey($1, sha256('id'), 'key', 0, 'Chrome on Windows', '127.0.0.1')", hash_token(token)
    )
    await database.execute(
        "INSERT INTO staff.session (token_hash, staff_id, version, agent, created_at, seen_at, proven_at) "
        "SELECT sha256('other'), staff_id, version, 'Firefox on Android', created_at, seen_at, proven_at "
        "FROM staff.session WHERE token_hash = $1",
        hash_token(token),
    )
    await go(window, "/desk/account?done=app")
    await database.execute("DELETE FROM staff.passkey WHERE staff_id = $1", staff_id)
    await database.execute("UPDATE staff.account SET totp_secret = NULL WHERE staff_id = $1", staff_id)


@state("desk-password")
async def password(window: BrowserWindow) -> None:
    await be(window)
    await go(window, "/desk/account/password")


@state("desk-app")
async def app(window: BrowserWindow) -> None:
    await be(window)
    await go(window, "/desk/account/app")


@state("desk-passkey")
async def passkey(window: BrowserWindow) -> None:
    await be(window)
    await go(window, "/desk/account/passkey")
