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


async def make_codes_cost(window: BrowserWindow, sent: int) -> None:
    """Have so many codes be sent to the window's address in the last hour, to other numbers each."""
    await window.product.database.execute("DELETE FROM accounts.challenge")
    await _ask_for_code(window)
    await window.product.database.execute(
        "INSERT INTO accounts.challenge (challenge_id, serial, phone_hash, prefix_hash, requester_hash, network_hash, "
        "key_hash, request_hash, code_hash, consent_version, created_at, expires_at) "
        "SELECT gen_random_uuid(), serial + n, sha256(int8send(n)), sha256(int8send(n)), requester_hash, network_hash, "
        "sha256(int8send(n)), request_hash, code_hash, consent_version, created_at, expires_at "
        "FROM accounts.challenge, generate_series(1, $1::bigint - 1) AS n",
        sent,
    )


async def forgo_work(window: BrowserWindow) -> None:
    """Have the browser be one without WebCrypto, as it is on plain HTTP."""
    await window.context.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")


@state("verify-wait")
async def wait(window: BrowserWindow) -> None:
    await make_codes_cost(window, 30)
    await forgo_work(window)
    await _ask_for_code(window)
    await window.product.database.execute("DELETE FROM accounts.challenge")


@state("verify-desk")
async def desk(window: BrowserWindow) -> None:
    await window.go("/verify/desk")


@state("verify-desk-wrong")
async def desk_wrong(window: BrowserWindow) -> None:
    await window.go("/verify/desk")
    await window.page.fill("#code", "K7M2-9QXF")
    await window.press("Agree and sign in")


@state("email")
async def email(window: BrowserWindow) -> None:
    await window.patient()
    await window.go("/email?token=x")


@state("email-over")
async def email_over(window: BrowserWindow) -> None:
    await email(window)
    await window.press("This is my address")


@state("email-verified")
async def email_verified(window: BrowserWindow) -> None:
    await window.patient()
    await window.go("/email/verified")


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
