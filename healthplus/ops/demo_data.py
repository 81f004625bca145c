"""The demo's data: a full directory whose next days are partly booked, and ratings of past bookings."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

from healthplus.accounts.keys import SCOPES, add_key
from healthplus.database import Database, Record, Transaction, load
from healthplus.ops.demo_book import BOOKING_AGE_MAX, BookMaker
from healthplus.ops.demo_directory import Directory, DirectoryMaker
from healthplus.ops.demo_facts import FACTS, draw_person, fake_phone, slug
from healthplus.ops.demo_portraits import portraits
from healthplus.ops.demo_profiles import Profile, profile
from healthplus.ops.demo_scenes import scenes, scenes_of
from healthplus.ops.demo_services import PREPARATIONS, SERVICE_TYPES, Service
from healthplus.ops.demo_staff import make_staff
from healthplus.receipts.receipts import queries as receipts
from healthplus.search.word_counts import count_words

_queries = load(Path(__file__).with_name("demo_data.sql"))

_FIRST_CITY = slug(FACTS["cities"][0]["name"])
_TWO_CLINICS = f"demo:{_FIRST_CITY}:doctor-1"
_NEARLY_FULL = f"demo:{_FIRST_CITY}:doctor-2"
_TAKES_NO_NEW = ":doctor-7"
_LAB = f"demo:{_FIRST_CITY}:lab-1"
_DEVELOPER = "Demo"
_RECEIPTS_MAX = 5000
"""How many are issued at a time."""
_SHOWN_PHONES = ("+919876543210", "+919876543211")
"""Of the two patients to try the product as, for whom one can sign in; all others have numbers that nobody has."""


@dataclass(frozen=True)
class DemoData:
    """Providers worth showing, the tokens of two patients by name, a developer's key, and the staff's one password.

    Tokens, key and password are new.

    `patient_phone`: with which one signs in as the first of them, who has been to doctors; None where somebody had it
    before, or an earlier release made the data.
    In the next four days all of the nearly full doctor's slots but four are booked, and three of those four are held;
    the fourth is the only one of its day.
    """

    two_clinics_doctor_id: int
    nearly_full_doctor_id: int
    lab_id: int
    patient_tokens: dict[str, str]
    patient_phone: str | None
    developer_key: str
    staff_password: str


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
        # They have such numbers as all others where an earlier release made them, or others had theirs.
        patients = await tx.fetch(_queries.shown_patients, [_fake_phone(0), _fake_phone(1), *_SHOWN_PHONES])
        for row in patients:
            tokens[row["name"]] = secrets.token_urlsafe(32)
            digest = hashlib.sha256(tokens[row["name"]].encode()).digest()
            await tx.execute(_queries.put_token, digest, row["patient_id"])
        await tx.execute(_queries.revoke_demo_keys, _DEVELOPER)
        _, key = await add_key(tx, _DEVELOPER, SCOPES)
        staff_password = await make_staff(tx, shown[_TWO_CLINICS])
    phone = patients[0]["phone"]
    return DemoData(
        shown[_TWO_CLINICS],
        shown[_NEARLY_FULL],
        shown[_LAB],
        tokens,
        phone if phone in _SHOWN_PHONES else None,
        key,
        staff_password,
    )


async def _create(tx: Transaction, scale: Scale) -> None:
    last = await tx.fetch_row(_queries.last_ids)
    assert last is not None
    now: datetime = await tx.fetch_value("SELECT public.app_now()")
    specialities = list(FACTS["specialities"])
    await tx.execute(_queries.put_specialities, [slug(name) for name in specialities], specialities)
    maker = DirectoryMaker(
        Random(scale.seed),  # noqa: S311 - not for secrets
        clinic_id=last["clinic_id"],
        provider_id=last["provider_id"],
        service_id=last["service_id"],
        terms_ids=[await _put_terms(tx, terms["steps"], now) for terms in FACTS["terms"]],
    )
    cities = FACTS["cities"][: scale.cities]
    await _put_postal_codes(tx, [place for city in cities for place in (city, *city["localities"].values())])
    for city in cities:
        city_id = await tx.fetch_value(
            _queries.put_city, slug(city["name"]), city["name"], city["state"], *city["position"]
        )
        maker.add_city(city, city_id, scale.providers_per_city)

    random = Random(f"{scale.seed} book")  # noqa: S311
    patients = [last["patient_id"] + number for number in range(1, scale.patients + 1)]
    await _store_patients(tx, random, patients, now)
    book = BookMaker(random, maker.directory, patients[2:], now)
    numbers = {str(row[1]): int(str(row[0])) for row in maker.directory.providers}
    book.plan_shown(patients[:2], [numbers[name] for name in numbers if name.startswith(f"demo:{_FIRST_CITY}:")])
    book.fill_books(numbers[_NEARLY_FULL])
    await _store_directory(tx, maker.directory, book.stars, now)
    await _store_book(tx, book, {row["patient_id"]: row for row in await tx.fetch(_queries.holders, patients)})
    await tx.execute(_queries.put_books)
    await tx.execute(_queries.put_attendance, now)
    await tx.execute(_queries.advance_ids)
    await tx.execute(_queries.compare_later, now)
    await tx.execute(_queries.analyze)
    while await tx.fetch_value(receipts.issue, _RECEIPTS_MAX):
        await tx.execute(_queries.analyze_receipts)
    await tx.execute(_queries.refresh_availability, now)
    await count_words(tx)


async def _put_terms(tx: Transaction, steps: Sequence[Mapping[str, int]], now: datetime) -> int:
    kept_minor = [step["rupees"] * 100 if "rupees" in step else None for step in steps]
    terms_id: int = await tx.fetch_value(
        _queries.put_terms,
        [step["hours"] for step in steps],
        [step.get("percent") for step in steps],
        kept_minor,
        now - BOOKING_AGE_MAX,
    )
    return terms_id


async def _put_postal_codes(tx: Transaction, localities: Sequence[Mapping[str, Any]]) -> None:
    """Put each postal code in the middle of the localities that have it."""
    positions: dict[str, list[tuple[float, float]]] = {}
    for locality in localities:
        positions.setdefault(locality["pin"], []).append(locality["position"])
    middles = [tuple(map(fmean, zip(*of_pin, strict=True))) for of_pin in positions.values()]
    await tx.execute(_queries.put_postal_codes, list(positions), *map(list, zip(*middles, strict=True)))


async def _store_patients(tx: Transaction, random: Random, patients: Sequence[int], now: datetime) -> None:
    """Store patients; the first two with numbers with which one can sign in, unless somebody has done so before."""
    taken = {row["phone"] for row in await tx.fetch(_queries.shown_patients, _SHOWN_PHONES)}
    rows = []
    for number, patient_id in enumerate(patients):
        _, given, family = draw_person(random, random.choice(list(FACTS["names"])))
        is_shown = number < len(_SHOWN_PHONES) and not taken
        phone = _SHOWN_PHONES[number] if is_shown else _fake_phone(number)
        # Who has no number is sent no messages: some have a time on hold, which expires while the demo is being tried.
        rows.append((patient_id, f"{given} {family}", phone, is_shown, now - BOOKING_AGE_MAX))
    await tx.copy_rows("accounts.patient", ("patient_id", "name", "phone", "takes_sms", "created_at"), rows)


async def _store_directory(
    tx: Transaction, directory: Directory, stars: Mapping[object, Sequence[int]], now: datetime
) -> None:
    profiles = _profiles(directory)
    await tx.copy_rows(
        "directory.clinic",
        [
            *("clinic_id", "identifier", "city_id", "name", "address", "postal_code", "phone"),
            *("latitude", "longitude", "terms_id", "gstin", "facilities"),
        ],
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
            "email",
            "phone",
            "languages",
            "practising_since",
            "max_booking_days",
            "rating_total",
            "rating_count",
            "qualifications",
            "registration",
            "council",
            "training",
            "bio",
            "accepts_new_patients",
        ],
        [
            (*row, sum(stars[row[0]]), len(stars[row[0]]), *profiles[row[0]][:5], not row[1].endswith(_TAKES_NO_NEW))
            for row in directory.providers
        ],
    )
    await _store_portraits(tx, {one: found.portrait for one, found in profiles.items() if found.portrait is not None})
    await _store_pictures(tx, directory.clinic_kinds)
    providers, slugs = zip(*directory.specialities, strict=True)
    await tx.execute(_queries.put_provider_specialities, providers, slugs)
    await tx.execute(_queries.list_later)
    await tx.copy_rows(
        "directory.provider_clinic",
        ("provider_id", "clinic_id", "fee_minor", "funding"),
        [(*ids, *price) for ids, price in directory.provider_clinics.items()],
    )
    await _store_services(tx, [one for offered in directory.services.values() for one in offered], now)
    await tx.execute(_queries.list_at_once)
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


def _profiles(directory: Directory) -> dict[object, Profile]:
    first = dict(reversed(directory.specialities))
    found = {}
    for provider_id, identifier, kind, _, _, _, _, gender, _, _, _, since, _ in directory.providers:
        found[provider_id] = profile(identifier, kind, gender, first[provider_id], since)
    return found


async def _store_portraits(tx: Transaction, numbers: Mapping[object, int]) -> None:
    drawn = portraits()
    for encoded in drawn:
        await tx.execute(_queries.put_photo, encoded.hash, list(encoded.webp), list(encoded.webp.values()))
    await tx.copy_rows(
        "directory.provider_photo",
        ("provider_id", "hash", "source"),
        [(provider_id, drawn[number].hash, f"demo:{number}") for provider_id, number in numbers.items()],
    )


async def _store_pictures(tx: Transaction, kinds: Mapping[int, str]) -> None:
    drawn = scenes()
    for scene in drawn:
        webp = scene.picture.webp
        await tx.execute(_queries.put_photo, scene.picture.hash, list(webp), list(webp.values()))
    await tx.copy_rows(
        "directory.clinic_picture",
        ("clinic_id", "position", "hash", "source", "text"),
        [
            (clinic_id, position, drawn[number].picture.hash, f"demo:{number}", drawn[number].text)
            for clinic_id, kind in kinds.items()
            for position, number in enumerate(scenes_of(clinic_id, kind), start=1)
        ],
    )


async def _store_services(tx: Transaction, services: Sequence[Service], now: datetime) -> None:
    slugs, names, are_tests = map(list, zip(*SERVICE_TYPES, strict=True))
    await tx.execute(_queries.put_service_types, slugs, names, are_tests)
    rows = await tx.fetch(_queries.service_types, slugs, are_tests)
    types = {row["slug"]: row["service_type_id"] for row in rows}
    await tx.copy_rows(
        "directory.service",
        [
            *("service_id", "provider_id", "clinic_id", "service_type_id", "length_minutes", "buffer_minutes"),
            *("starts_every", "weekdays", "allows_more_a_day", "fee_minor", "funding", "opened_at"),
        ],
        [(*one._replace(type_slug=types[one.type_slug]), now - BOOKING_AGE_MAX) for one in services],
    )
    await tx.copy_rows(
        "directory.preparation",
        ["provider_id", "clinic_id", "service_type_id", "text"],
        [
            (one.provider_id, one.clinic_id, types[one.type_slug], PREPARATIONS[one.type_slug])
            for one in services
            if one.type_slug in PREPARATIONS
        ],
    )


async def _store_book(tx: Transaction, book: BookMaker, holders: Mapping[object, Record]) -> None:
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
            "service_ids",
            "terms_id",
            "person_id",
            "patient_name",
        ],
        [(*row, (holder := holders[row[3]])["person_id"], holder["name"]) for row in book.bookings],
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
    await tx.copy_rows("reviews.review", ["provider_id", "patient_id", "text", "written_at"], book.reviews)


def _fake_phone(number: int) -> str:
    return fake_phone(900_000_000 + number)
