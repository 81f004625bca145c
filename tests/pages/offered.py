"""A laboratory and a doctor with services, of their own for each who looks at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time

from healthplus.names import service_slug
from healthplus.ops.demo_services import PREPARATIONS
from healthplus.web.pages.addresses import chart_path
from tests.fixtures.clock import INDIA, days_ahead
from tests.fixtures.directory import make_provider, make_shift
from tests.fixtures.services import close_service, offer_service
from tests.pages.window import BrowserWindow

TESTS = {
    "cbc": ("Complete Blood Count (CBC)", 26_000, 0),
    "mri-brain": ("MRI Brain", 888_000, 30),
    "lipid-profile": ("Lipid Profile", 65_000, 0),
    "hba1c": ("HbA1c", 48_000, 0),
    "vitamin-d": ("Vitamin D (25-hydroxycholecalciferol), by chemiluminescence", 142_050, 0),
    "thyroid-profile": ("Thyroid Profile (T3, T4, TSH)", 55_000, 0),
    "urine-routine": ("Urine Routine and Microscopy", 15_000, 0),
    "sonography-abdomen": ("Sonography of the whole abdomen", 180_000, 20),
    "chest-x-ray": ("Chest X-ray, PA view", 40_000, 10),
    "ecg": ("ECG", 30_000, 10),
}
PREPARED = {"mri-brain": "MRI Brain", "lipid-profile": "Lipid Profile", "sonography-abdomen": "Ultrasound Abdomen"}
"""Tests before which there is as much to do as before these of the demo."""
ASKED = "histopathology"
"""A test whose price the laboratory says itself."""
SERVICES = {
    "follow-up": ("Follow-up within two weeks", 20_000, 10),
    "scaling": ("Scaling and polishing", 120_000, 30),
    "root-canal": ("Root canal treatment, single sitting", 450_000, 60),
}


@dataclass
class Offer:
    """A provider at a clinic, who is there from 9 to 12 in slots of ten minutes; `day` is three days ahead."""

    window: BrowserWindow
    provider_id: int
    clinic_id: int
    name: str
    starts_at: datetime
    ids: dict[str, int] = field(default_factory=dict)

    @property
    def day(self) -> date:
        return self.starts_at.date()

    def path(self, *slugs: str, day: date | None = None) -> str:
        return chart_path(
            self.provider_id, self.name, self.clinic_id, services=[self.ids[slug] for slug in slugs], day=day
        )

    async def reprice(self, slug: str, fee_minor: int) -> None:
        """Have a service cost something else from now on; what is held or shown keeps its id here."""
        name, _, minutes = {**TESTS, **SERVICES}[slug]
        database = self.window.product.database
        await offer_service(database, self.provider_id, slug, fee_minor, minutes, name=name, is_test=slug in TESTS)

    async def close(self, slug: str) -> None:
        await close_service(self.window.product.database, self.provider_id, slug)


async def a_laboratory(window: BrowserWindow, *, weekdays: dict[str, int] | None = None) -> Offer:
    """Make a laboratory with tests. `weekdays`: of some, those on which they are done, a bit each."""
    offer = await _provider(window, "Sahyadri Diagnostics and Imaging Centre", "lab")
    for slug, (name, fee_minor, minutes) in TESTS.items():
        days = (weekdays or {}).get(slug, 127)
        offer.ids[slug] = await offer_service(
            window.product.database, offer.provider_id, slug, fee_minor, minutes, name=name, is_test=True, weekdays=days
        )
    offer.ids[ASKED] = await offer_service(
        window.product.database,
        offer.provider_id,
        ASKED,
        0,
        name="Histopathology of a small biopsy",
        is_test=True,
        funding="clinic",
    )
    await window.product.database.execute_many(
        "INSERT INTO directory.preparation (provider_id, service_type_id, text) "
        "SELECT provider_id, service_type_id, $2 FROM directory.service WHERE service_id = $1",
        [(offer.ids[slug], PREPARATIONS[service_slug(name)]) for slug, name in PREPARED.items()],
    )
    return offer


async def a_dentist(window: BrowserWindow) -> Offer:
    """Make a doctor with services besides plain visits; a root canal treatment begins on the hour and half past."""
    offer = await _provider(window, "Dr Mrunalini Deshpande-Kulkarni", "doctor")
    for slug, (name, fee_minor, minutes) in SERVICES.items():
        offer.ids[slug] = await offer_service(
            window.product.database,
            offer.provider_id,
            slug,
            fee_minor,
            minutes,
            name=name,
            starts_every=3 if slug == "root-canal" else 1,
        )
    return offer


async def _provider(window: BrowserWindow, name: str, kind: str) -> Offer:
    database = window.product.database
    clinic_id = await database.fetch_value(
        "SELECT min(clinic_id) FROM directory.provider_clinic WHERE provider_id = $1",
        window.product.data.two_clinics_doctor_id,
    )
    provider_id = await make_provider(database, {clinic_id: (65_000, "online")}, name=name)
    await database.execute("UPDATE directory.provider SET type = $2 WHERE provider_id = $1", provider_id, kind)
    await make_shift(database, provider_id, clinic_id, range(1, 8), time(9), time(12), 10, slots_max=3)
    starts_at = (await days_ahead(database, 3, time(9))).astimezone(INDIA)
    return Offer(window, provider_id, clinic_id, name, starts_at)
