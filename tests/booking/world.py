"""Quick builders, straight by SQL, of what a book needs around it; and a clock that stands still."""

from __future__ import annotations

from datetime import datetime, time
from uuid import UUID

from healthplus.database import Database
from healthplus.waiting.presence import Presence


async def freeze_clock(db: Database) -> None:
    """Have this database's clock read an instant that `set_clock` sets, so that deadlines can be met exactly."""
    await db.execute("""
        CREATE TABLE public.frozen (at timestamptz NOT NULL);
        INSERT INTO public.frozen VALUES (public.app_now());
        CREATE OR REPLACE FUNCTION public.app_now() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            RETURN (SELECT at FROM public.frozen);
        END $$;
    """)


async def set_clock(db: Database, at: datetime) -> None:
    await db.execute("UPDATE public.frozen SET at = $1", at)


async def make_city(db: Database, time_zone: str = "Asia/Kolkata") -> int:
    return int(
        await db.fetch_value(
            """INSERT INTO directory.city (slug, name, time_zone)
            VALUES (gen_random_uuid(), 'City', $1) RETURNING city_id""",
            time_zone,
        )
    )


async def make_clinic(db: Database, city_id: int, lead_minutes: int = 10) -> int:
    return int(
        await db.fetch_value(
            """INSERT INTO directory.clinic (identifier, city_id, name, lead_minutes)
            VALUES (gen_random_uuid(), $1, 'Clinic', $2) RETURNING clinic_id""",
            city_id,
            lead_minutes,
        )
    )


async def make_provider(db: Database, clinics: dict[int, tuple[int, str]], max_booking_days: int = 60) -> int:
    """Make a provider who works at these clinics, each with its fee in paise and how it is paid."""
    provider_id = await db.fetch_value(
        """INSERT INTO directory.provider (identifier, type, name, max_booking_days)
        VALUES (gen_random_uuid(), 'doctor', 'Provider', $1) RETURNING provider_id""",
        max_booking_days,
    )
    await db.execute_many(
        "INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding) VALUES ($1, $2, $3, $4)",
        [(provider_id, clinic_id, fee, funding) for clinic_id, (fee, funding) in clinics.items()],
    )
    return int(provider_id)


async def make_shift(
    db: Database,
    provider_id: int,
    clinic_id: int,
    weekday: int,
    starts: time,
    ends: time,
    slot_minutes: int,
    *,
    seats: int = 1,
    slots_max: int = 1,
) -> int:
    return int(
        await db.fetch_value(
            """INSERT INTO schedule.shift
                (provider_id, clinic_id, weekday, starts, ends, slot_minutes, seats, slots_max)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING shift_id""",
            provider_id,
            clinic_id,
            weekday,
            starts,
            ends,
            slot_minutes,
            seats,
            slots_max,
        )
    )


async def make_patients(db: Database, count: int) -> list[int]:
    rows = await db.fetch(
        "INSERT INTO accounts.patient (name) SELECT 'Patient' FROM generate_series(1, $1) RETURNING patient_id", count
    )
    return [row["patient_id"] for row in rows]


async def see(db: Database, provider_id: int, ticket_id: UUID, offer_id: UUID | None = None) -> None:
    """Note that a waiting client was seen, and which offer it was shown."""
    presence = Presence(db)
    await presence.see(provider_id, ticket_id, offer_id)
    await presence.flush()
