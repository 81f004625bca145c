from __future__ import annotations

from healthplus.accounts.consent import CURRENT
from tests.pages.stage import SignedInPatient, Stage
from tests.pages.states import state


async def consenting(stage: Stage) -> SignedInPatient:
    patient = await stage.patient()
    await stage.product.database.execute(
        "INSERT INTO accounts.consent (patient_id, purpose, version, given_at) VALUES ($1, $2, $3, app_now())",
        patient.patient_id,
        CURRENT.purpose,
        CURRENT.version,
    )
    return patient


@state("privacy")
async def privacy(stage: Stage) -> None:
    await stage.go("/privacy")


@state("privacy-signed-in")
async def signed_in(stage: Stage) -> None:
    await consenting(stage)
    await stage.go("/privacy")


@state("privacy-withdraw")
async def withdraw(stage: Stage) -> None:
    patient = await consenting(stage)
    await stage.book(patient)
    await stage.hold(patient)
    await stage.go("/privacy/withdraw")


@state("privacy-withdrawn")
async def withdrawn(stage: Stage) -> None:
    await withdraw(stage)
    await stage.press("Withdraw")


@state("privacy-erase")
async def erase(stage: Stage) -> None:
    await stage.hold(await consenting(stage))
    await stage.go("/privacy/erase")


@state("privacy-erase-refused")
async def erase_refused(stage: Stage) -> None:
    patient = await consenting(stage)
    await stage.go("/privacy/erase")
    await stage.book(patient)
    await stage.press("Erase me")


@state("privacy-erased")
async def erased(stage: Stage) -> None:
    await erase(stage)
    await stage.press("Erase me")
