"""The office's pages of accounts, audit, asks, breaches and keys."""

from __future__ import annotations

from uuid import UUID

from healthplus.booking.numbers import number_of
from tests.pages.states import state
from tests.pages.states.staff import be, go
from tests.pages.window import BrowserWindow


async def clinic_of(window: BrowserWindow) -> int:
    """Return the clinic of the demo's ward administrator."""
    found: int = await window.product.database.fetch_value(
        "SELECT clinic_id FROM staff.membership JOIN staff.account USING (staff_id) WHERE log_on = 'demo-ward'"
    )
    return found


async def ahead(window: BrowserWindow, clinic_id: int) -> tuple[int, UUID]:
    """Return an appointment at a clinic that is still to come."""
    row = await window.product.database.fetch_row(
        "SELECT provider_id, booking_id FROM booking.booking "
        "WHERE clinic_id = $1 AND state = 'booked' AND lower(during) > public.app_now() + interval '1 day' "
        "ORDER BY during, booking_id LIMIT 1",
        clinic_id,
    )
    assert row is not None
    return row["provider_id"], row["booking_id"]


async def ask(window: BrowserWindow) -> int:
    """Have the desk ask two things, one of which is over; return the clinic."""
    clinic_id = await clinic_of(window)
    provider_id, booking_id = await ahead(window, clinic_id)
    database = window.product.database
    await database.execute("DELETE FROM staff.ask")
    for kind, wish, seen in (
        ("cancel", "{}", "booking.as_seen($2, $3)"),
        ("edit_patient", '{"name": "Asha Joshi", "birth_year": 1990, "sex": "female"}', "booking.as_seen($2, $3)"),
        ("move", '{"starts_at": 1800000000}', "booking.as_seen($2, $3) || '{\"starts_at\": 1790000000}'"),
    ):
        await database.execute(
            f"SELECT staff.open_ask($1, $2, $3, NULL, $4, '{wish}', {seen}, 'She called, her train is late.', "
            "staff_id) "
            "FROM staff.account WHERE log_on = 'demo-desk'",
            clinic_id,
            provider_id,
            booking_id,
            kind,
        )
    return clinic_id


@state("office-staff")
async def staff(window: BrowserWindow) -> None:
    await be(window)
    await go(window, f"/office/{await clinic_of(window)}/staff")


@state("office-staff-link")
async def staff_link(window: BrowserWindow) -> None:
    await be(window)
    await go(window, f"/office/{await clinic_of(window)}/staff")
    await window.page.locator(".accounts form[action$='/link'] button").first.click()
    await window.page.wait_for_selector(".once")


@state("office-question")
async def question(window: BrowserWindow) -> None:
    await be(window)
    await go(window, f"/office/{await clinic_of(window)}/staff")
    await window.page.locator(".accounts form[action$='/disable'] button").first.click()
    await window.page.wait_for_selector(".button.danger")


@state("office-staff-new-wrong")
async def staff_new(window: BrowserWindow) -> None:
    await be(window)
    await go(window, f"/office/{await clinic_of(window)}/staff/new")
    await window.page.fill("#name", "Asha Rao")
    await window.page.fill("#log_on", "Asha Rao")
    await window.page.locator("main .button").click()
    await window.page.wait_for_selector("#error")


@state("office-asks")
async def asks(window: BrowserWindow) -> None:
    clinic_id = await ask(window)
    await be(window)
    await go(window, f"/office/{clinic_id}/asks")


@state("office-audit")
async def audit(window: BrowserWindow) -> None:
    clinic_id = await ask(window)
    await be(window)
    await go(window, f"/office/{clinic_id}/asks")
    await go(window, f"/office/{clinic_id}/audit")


@state("office-history")
async def history(window: BrowserWindow) -> None:
    clinic_id = await clinic_of(window)
    _, booking_id = await ahead(window, clinic_id)
    await be(window)
    await go(window, f"/office/{clinic_id}/audit/history?booking={number_of(booking_id)}")


@state("desk-ask")
async def desk_ask(window: BrowserWindow) -> None:
    clinic_id = await ask(window)
    _, booking_id = await ahead(window, clinic_id)
    await window.product.database.execute("DELETE FROM staff.ask WHERE kind = 'move'")
    await be(window, "demo-desk")
    await go(window, f"/desk/{clinic_id}/ask?number={number_of(booking_id)}")


@state("office-all-audit-wrong")
async def all_audit(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/audit?patient=x&who=demo-ward")


@state("office-accounts")
async def accounts(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/staff")


@state("office-account")
async def account(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/staff/1")


@state("office-account-new")
async def account_new(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/staff/new")


@state("office-breaches")
async def breaches(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/breaches")


@state("office-breach-new")
async def breach_new(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/breaches/new")


@state("office-breach")
async def breach(window: BrowserWindow) -> None:
    await window.product.database.execute(
        "SELECT staff.note_breach(public.app_now() - interval '5 hours', 'staff:1', "
        "'A laptop was stolen from the front desk. Its screen was open.', 'Names and phone numbers', 120, '')"
    )
    await be(window, "demo-admin")
    await go(window, "/office/breaches/1")


@state("office-clinics")
async def clinics(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/system/clinics")


@state("office-keys")
async def keys(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/system/keys")


@state("office-key-new")
async def key_new(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/system/keys/new")


@state("office-system")
async def system(window: BrowserWindow) -> None:
    await be(window, "demo-admin")
    await go(window, "/office/system")
