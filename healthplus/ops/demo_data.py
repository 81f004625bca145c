"""The demo's data: a full directory whose next days are partly booked, and ratings of past bookings."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from random import Random

from healthplus.accounts.keys import SCOPES, add_key
from healthplus.database import Database, Transaction, load
from healthplus.ops.demo_book import BOOKING_AGE_MAX, BookMaker
from healthplus.ops.demo_directory import FACTS, Directory, DirectoryMaker, draw_person, fake_phone, slug
from healthplus.search.word_counts import count_words

_queries = load(Path(__file__).with_name("demo_data.sql"))

_FIRST_CITY = slug(FACTS["cities"][0]["name"])
_TWO_CLINICS = f"demo:{_FIRST_CITY}:doctor-1"
_NEARLY_FULL = f"demo:{_FIRST_CITY}:doctor-2"
_LAB = f"demo:{_FIRST_CITY}:lab-1"
_DEVELOPER = "Demo"


@dataclass(frozen=True)
class DemoData:
    """Providers worth showing, the tokens of two patients by name, and a developer's key; tokens and key are new.

    In the next four days all of the nearly full doctor's slots but four are booked, and three of those four are held.
    """

    two_clinics_doctor_id: int
    nearly_full_doctor_id: int
    lab_id: int
    patient_tokens: dict[str, str]
    developer_key: str


@dataclass(frozen=True)
class Scale:
    """How much data to make. The same seed makes the same directory, and the same bookings relative to now."""

    seed: int = 20
    cities: int = 20
    providers_per_city: int = 300
    patients: int = 2000


async def create_demo_data(db: Database, scale: Scale = Scale()) -> DemoData:
    """Fill the database, unless that was done before; make new tokens for two patients, and a new developer's key.

    `db` should have no limit on the time of a statement. Raises DiskFull when there is no room.
    """
    async with db.transaction() as tx:
        await tx.execute(_queries.lock)
        if not await tx.fetch(_queries.shown_providers, [_TWO_CLINICS]):
            db.space.require_for_bookings()
            await _create(tx, scale)
        rows = await tx.fetch(_queries.shown_providers, [_TWO_CLINICS, _NEARLY_FULL, _LAB])
        shown = {row["identifier"]: row["provider_id"] for row in rows}
        tokens = {}
        for row in await tx.fetch(_queries.shown_patients, [_patient_phone(0), _patient_phone(1)]):
            tokens[row["name"]] = secrets.token_urlsafe(32)
            digest = hashlib.sha256(tokens[row["name"]].encode()).digest()
            await tx.execute(_queries.put_token, digest, row["patient_id"])
        await tx.execute(_queries.revoke_demo_keys, _DEVELOPER)
        _, key = await add_key(tx, _DEVELOPER, SCOPES)
    return DemoData(shown[_TWO_CLINICS], shown[_NEARLY_FULL], shown[_LAB], tokens, key)


async def _create(tx: Transaction, scale: Scale) -> None:
    last = await tx.fetch_row(_queries.last_ids)
    assert last is not None
    specialities = list(FACTS["specialities"])
    await tx.execute(_queries.put_specialities, [slug(name) for name in specialities], specialities)
    lab_tests = list(FACTS["lab_tests"])
    await tx.execute(_queries.put_lab_tests, [slug(name) for name in lab_tests], lab_tests)
    maker = DirectoryMaker(Random(scale.seed), last["clinic_id"], last["provider_id"])  # noqa: S311 - not for secrets
    for city in FACTS["cities"][: scale.cities]:
        city_id = await tx.fetch_value(
            _queries.put_city, slug(city["name"]), city["name"], city["state"], *city["position"]
        )
        maker.add_city(city, city_id, scale.providers_per_city)
    await _store_directory(tx, maker.directory)

    random = Random(f"{scale.seed} book")  # noqa: S311
    patients = [last["patient_id"] + number for number in range(1, scale.patients + 1)]
    names = [draw_person(random, random.choice(list(FACTS["names"]))) for _ in patients]
    now = await tx.fetch_value("SELECT public.app_now()")
    await tx.copy_rows(
        "accounts.patient",
        ("patient_id", "name", "phone", "created_at"),
        [
            (patient_id, f"{given} {family}", _patient_phone(number), now - BOOKING_AGE_MAX)
            for number, (patient_id, (_, given, family)) in enumerate(zip(patients, names, strict=True))
        ],
    )
    await tx.execute(_queries.advance_ids)
    # The first two patients have no bookings: they are the ones to try the product as.
    book = BookMaker(random, maker.directory, patients[2:], now)
    nearly_full = {str(row[1]): int(str(row[0])) for row in maker.directory.providers}[_NEARLY_FULL]
    book.fill_books(nearly_full)
    await _store_book(tx, book)
    await tx.execute(_queries.put_persons)
    await tx.execute(_queries.put_books)
    await tx.execute(_queries.put_rating_totals)
    await tx.execute(_queries.analyze)
    await tx.execute(_queries.refresh_availability, now)
    await count_words(tx)


async def _store_directory(tx: Transaction, directory: Directory) -> None:
    await tx.copy_rows(
        "directory.clinic",
        ["clinic_id", "identifier", "city_id", "name", "address", "postal_code", "phone", "latitude", "longitude"],
        directory.clinics,
    )
    await tx.copy_rows(
        "directory.provider",
        [
            "provider_id",
            "identifier",
            "type",
            "salutation",
            "given_name",
            "family_name",
            "name",
            "gender",
            "bio",
            "email",
            "phone",
            "languages",
            "practising_since",
            "max_booking_days",
        ],
        directory.providers,
    )
    providers, slugs = zip(*directory.specialities, strict=True)
    await tx.execute(_queries.put_provider_specialities, providers, slugs)
    labs, tests, prices = zip(*directory.lab_tests, strict=True)
    await tx.execute(_queries.put_provider_lab_tests, labs, tests, prices)
    await tx.copy_rows(
        "directory.provider_clinic",
        ("provider_id", "clinic_id", "fee_minor", "funding"),
        [(*ids, *price) for ids, price in directory.provider_clinics.items()],
    )
    await tx.copy_rows(
        "schedule.shift",
        ["provider_id", "clinic_id", "weekday", "starts", "ends", "slot_minutes", "seats", "slots_max"],
        [
            (provider_id, s.clinic_id, weekday, s.starts, s.ends, s.slot_minutes, s.seats, s.slots_max)
            for provider_id, shifts in directory.shifts.items()
            for weekday in range(1, 8)
            for s in shifts
        ],
    )


async def _store_book(tx: Transaction, book: BookMaker) -> None:
    # Before the bookings: an event of a booking that is not there yet makes no notice, and nobody should get one.
    await tx.copy_rows("booking.event_log", ["provider_id", "seq", "at", "kind", "booking_id", "actor"], book.events)
    await tx.copy_rows(
        "booking.booking",
        [
            "provider_id",
            "booking_id",
            "clinic_id",
            "patient_id",
            "during",
            "seat",
            "slots_needed",
            "state",
            "deadline",
            "fee_minor",
            "funding",
            "created_at",
        ],
        book.bookings,
    )
    await tx.copy_rows(
        "ledger.payment",
        [
            *("provider_id", "hold_id", "booking_id", "authorisation", "amount_minor", "state", "at"),
            *("authorised_at", "authorised_source", "captured_at", "captured_source"),
        ],
        book.payments,
    )
    await tx.copy_rows("booking.claim", ["patient_id", "provider_id", "booking_id"], book.claims)
    await tx.copy_rows("reviews.rating", ["provider_id", "patient_id", "booking_id", "stars", "rated_at"], book.ratings)


def _patient_phone(number: int) -> str:
    return fake_phone(900_000_000 + number)
