"""A small directory to book in: who works where, and some patients with their tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from healthplus.accounts.actors import Patient, Staff
from healthplus.accounts.patients import add_patient
from healthplus.booking.book import Book
from healthplus.booking.outcomes import Attendance
from healthplus.database import Database
from tests.fixtures.clock import move_clock, move_clock_to, product_now

_DIRECTORY = """
INSERT INTO directory.city (slug, name) VALUES ('pune', 'Pune');
INSERT INTO directory.clinic (identifier, city_id, name)
SELECT 'clinic-' || n, city_id, 'Clinic ' || n FROM directory.city, generate_series(1, 3) AS n;
INSERT INTO directory.provider (identifier, type, name)
SELECT 'provider-' || n, 'doctor', 'Dr ' || n FROM generate_series(1, 2) AS n;
INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
SELECT provider_id, clinic_id, fee_minor, funding::directory.funding
FROM directory.provider,
    (VALUES (1, 50000, 'online'), (2, 30000, 'clinic'), (3, 0, 'free')) AS fee (clinic_id, fee_minor, funding);
-- Half-hour slots: mornings at the first clinic, afternoons at the second, one free evening slot at the third.
INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes, slots_max)
SELECT provider_id, clinic_id, weekday, starts::time, ends::time, 30, 4
FROM directory.provider, generate_series(1, 7) AS weekday,
    (VALUES (1, '09:00', '12:00'), (2, '13:00', '16:00'), (3, '18:00', '18:30')) AS shift (clinic_id, starts, ends);
"""

IST = timedelta(hours=5, minutes=30)
PROVIDER, OTHER_PROVIDER = 1, 2
ONLINE, AT_CLINIC, FREE = 1, 2, 3

ATTENDED: tuple[Attendance, ...] = ("arrived", "fulfilled")
BOOKING_TABLES = ("book", "booking", "ticket", "presence", "claim", "event", "idempotency")


@dataclass
class World:
    """Patients' tokens by name; `day` is two days from now, when every slot can be had."""

    database: Database
    day: datetime
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    @classmethod
    async def make(cls, database: Database) -> World:
        today = (await product_now(database) + IST).replace(hour=0, minute=0, second=0, microsecond=0) - IST
        world = cls(database, today + timedelta(days=2))
        await database.execute(_DIRECTORY)
        for provider_id in (PROVIDER, OTHER_PROVIDER):
            await Book(database).advance(provider_id)  # opens the book, as the first verb does
        for name in ("asha", "bina", "chand"):
            world.ids[name], world.tokens[name] = await add_patient(database, name)
        return world

    def at(self, hour: int, minute: int = 0) -> str:
        """An instant of the day, in the city's time."""
        return (self.day + timedelta(hours=hour, minutes=minute)).isoformat()

    async def now(self) -> datetime:
        return await product_now(self.database)

    async def pass_time(self, **time: float) -> None:
        """Move the product's clock."""
        await move_clock(self.database, **time)

    def actor(self, name: str) -> Patient:
        return Patient(self.ids[name])

    async def pass_until(self, at: datetime) -> None:
        """Move the product's clock to an instant."""
        await move_clock_to(self.database, at)

    async def counts(self) -> dict[str, int]:
        """Rows of all booking tables and of payments."""
        tables = [f"booking.{table}" for table in BOOKING_TABLES] + ["ledger.payment"]
        sql = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS rows FROM {table}" for table in tables)
        return {row["name"]: row["rows"] for row in await self.database.fetch(sql)}


async def attend(world: World, url: str, *states: Attendance) -> None:
    """Have the clinic record what came of a visit, by default that it took place."""
    *_, provider_id, _, booking_id = url.split("/")
    for state in states or ATTENDED:
        outcome = await Book(world.database).attend(int(provider_id), UUID(booking_id), state, Staff(1))
        assert outcome.code == state
