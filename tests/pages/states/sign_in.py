from __future__ import annotations

from tests.pages.states import state
from tests.pages.window import BrowserWindow

SLOT = "/doctor/1/somebody/1"


async def _ask_for_code(window: BrowserWindow) -> None:
    await window.go(f"/verify?next={SLOT}")
    await window.page.fill("#phone", window.number())
    await window.press("Agree and send code")


async def _guess(window: BrowserWindow, code: str) -> None:
    await window.page.fill("#code", code)
    await window.press("Confirm")


@state("verify")
async def number(window: BrowserWindow) -> None:
    await window.go("/verify")


@state("verify-wrong-number")
async def wrong_number(window: BrowserWindow) -> None:
    await window.go("/verify")
    await window.page.fill("#phone", "12345")
    await window.press("Agree and send code")


@state("verify-too-many")
async def too_many(window: BrowserWindow) -> None:
    await _ask_for_code(window)
    await window.page.get_by_role("link", name=window.said("Change the number")).click()
    await window.page.fill("#phone", f"+9198{int(await _last_range(window)):04}3210")
    await window.press("Agree and send code")


async def _last_range(window: BrowserWindow) -> str:
    phone = await window.product.database.fetch_value(
        "SELECT phone FROM accounts.challenge ORDER BY serial DESC LIMIT 1"
    )
    return str(phone)[5:9]


@state("code")
async def code(window: BrowserWindow) -> None:
    await _ask_for_code(window)


@state("code-wrong")
async def wrong(window: BrowserWindow) -> None:
    await _ask_for_code(window)
    await _guess(window, f"{(int(await window.product.code()) + 1) % 10**6:06}")


@state("code-spent")
async def spent(window: BrowserWindow) -> None:
    await _ask_for_code(window)
    await window.product.database.execute("UPDATE accounts.challenge SET tries = 5")
    await _guess(window, "123456")


@state("code-locked")
async def locked(window: BrowserWindow) -> None:
    await _ask_for_code(window)
    await window.product.database.execute(
        "INSERT INTO accounts.challenge (challenge_id, serial, phone_hash, prefix_hash, requester_hash, key_hash, "
        "request_hash, code_hash, consent_version, created_at, expires_at, tries, tried_at) "
        "SELECT gen_random_uuid(), serial + n, phone_hash, prefix_hash, requester_hash, key_hash, request_hash, "
        "code_hash, consent_version, created_at - interval '2 days', expires_at - interval '2 days', 5, "
        "created_at - interval '2 days' FROM accounts.challenge, generate_series(1, 20) AS n "
        "WHERE serial = (SELECT max(serial) FROM accounts.challenge)"
    )
    await _guess(window, "123456")


@state("code-over")
async def over(window: BrowserWindow) -> None:
    await _ask_for_code(window)
    await window.product.database.execute("UPDATE accounts.challenge SET expires_at = app_now() - interval '1 s'")
    await _guess(window, "123456")


@state("signed-out")
async def signed_out(window: BrowserWindow) -> None:
    await window.patient()
    await window.go("/help")
    await window.press("Sign out")
