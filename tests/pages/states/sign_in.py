from __future__ import annotations

from tests.pages.stage import Stage
from tests.pages.states import state

SLOT = "/doctor/1/somebody/1"


async def _ask_for_code(stage: Stage) -> None:
    await stage.go(f"/verify?next={SLOT}")
    await stage.page.fill("#phone", stage.number())
    await stage.press("Agree and send code")


async def _guess(stage: Stage, code: str) -> None:
    await stage.page.fill("#code", code)
    await stage.press("Confirm")


@state("verify")
async def number(stage: Stage) -> None:
    await stage.go("/verify")


@state("verify-wrong-number")
async def wrong_number(stage: Stage) -> None:
    await stage.go("/verify")
    await stage.page.fill("#phone", "12345")
    await stage.press("Agree and send code")


@state("verify-too-many")
async def too_many(stage: Stage) -> None:
    await _ask_for_code(stage)
    await stage.page.get_by_role("link", name=stage.said("Change the number")).click()
    await stage.page.fill("#phone", f"+9198{int(await _last_range(stage)):04}3210")
    await stage.press("Agree and send code")


async def _last_range(stage: Stage) -> str:
    phone = await stage.product.database.fetch_value(
        "SELECT phone FROM accounts.challenge ORDER BY serial DESC LIMIT 1"
    )
    return str(phone)[5:9]


@state("code")
async def code(stage: Stage) -> None:
    await _ask_for_code(stage)


@state("code-wrong")
async def wrong(stage: Stage) -> None:
    await _ask_for_code(stage)
    await _guess(stage, f"{(int(await stage.product.code()) + 1) % 10**6:06}")


@state("code-spent")
async def spent(stage: Stage) -> None:
    await _ask_for_code(stage)
    await stage.product.database.execute("UPDATE accounts.challenge SET tries = 5")
    await _guess(stage, "123456")


@state("code-locked")
async def locked(stage: Stage) -> None:
    await _ask_for_code(stage)
    await stage.product.database.execute(
        "INSERT INTO accounts.challenge (challenge_id, serial, phone_hash, prefix_hash, requester_hash, key_hash, "
        "request_hash, code_hash, consent_version, created_at, expires_at, tries, tried_at) "
        "SELECT gen_random_uuid(), serial + n, phone_hash, prefix_hash, requester_hash, key_hash, request_hash, "
        "code_hash, consent_version, created_at - interval '2 days', expires_at - interval '2 days', 5, "
        "created_at - interval '2 days' FROM accounts.challenge, generate_series(1, 20) AS n "
        "WHERE serial = (SELECT max(serial) FROM accounts.challenge)"
    )
    await _guess(stage, "123456")


@state("code-over")
async def over(stage: Stage) -> None:
    await _ask_for_code(stage)
    await stage.product.database.execute("UPDATE accounts.challenge SET expires_at = app_now() - interval '1 s'")
    await _guess(stage, "123456")


@state("signed-out")
async def signed_out(stage: Stage) -> None:
    await stage.patient()
    await stage.go("/help")
    await stage.press("Sign out")
