from __future__ import annotations

from healthplus.accounts.consent import CONSENTS, CURRENT
from tests.pages.states import state
from tests.pages.window import BrowserWindow, SignedInPatient


async def consenting(window: BrowserWindow, version: str = CURRENT.version) -> SignedInPatient:
    patient = await window.patient()
    await window.product.database.execute(
        "INSERT INTO accounts.consent (patient_id, purpose, version, given_at) VALUES ($1, $2, $3, app_now())",
        patient.patient_id,
        CURRENT.purpose,
        version,
    )
    return patient


@state("privacy")
async def privacy(window: BrowserWindow) -> None:
    await window.go("/privacy")


@state("privacy-signed-in")
async def signed_in(window: BrowserWindow) -> None:
    await consenting(window)
    await window.go("/privacy")


@state("consent-again")
async def consent_again(window: BrowserWindow) -> None:
    await consenting(window, CONSENTS[0].version)
    await window.go("/appointments")


@state("privacy-withdraw")
async def withdraw(window: BrowserWindow) -> None:
    patient = await consenting(window)
    await window.book(patient)
    await window.hold(patient)
    await window.go("/privacy/withdraw")


@state("privacy-withdrawn")
async def withdrawn(window: BrowserWindow) -> None:
    await withdraw(window)
    await window.press("Withdraw")


@state("privacy-erase")
async def erase(window: BrowserWindow) -> None:
    await window.hold(await consenting(window))
    await window.go("/privacy/erase")


@state("privacy-erase-refused")
async def erase_refused(window: BrowserWindow) -> None:
    patient = await consenting(window)
    await window.go("/privacy/erase")
    await window.book(patient)
    await window.press("Delete my account")


@state("privacy-erased")
async def erased(window: BrowserWindow) -> None:
    await erase(window)
    await window.press("Delete my account")
