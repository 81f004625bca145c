"""A directory whose books change, and what search must find there, by a plain look at every row and every slot."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database, Range, Record
from tests.fixtures.clock import freeze_clock, set_clock
from tests.fixtures.patients import make_patients

T = TypeVar("T")

EARTH_RADIUS_M = 6378168
"""earthdistance's own."""
NIGHT = datetime(2026, 10, 22, 20, 3, 30, tzinfo=UTC)
"""Three days before clocks change in Berlin."""
CITIES = [
    ("pune", "Asia/Kolkata", 18.52, 73.86),
    ("mumbai", "Asia/Kolkata", 19.08, 72.88),
    ("berlin", "Europe/Berlin", 52.5, 13.4),
]
TYPES = ["doctor", "hospital", "clinic", "lab"]
WORDS = ["ruby", "apollo", "city", "care", "rao"]
SERVICE_TYPES = {"cbc": True, "lipid profile": True, "chest x-ray": True, "root canal": False, "scaling": False}
"""By name, whether it is a laboratory test; numbered from 1."""
POSTS = """
SELECT provider_id, clinic_id, city_id, time_zone, provider.type::text AS type,
    provider.name || ' ' || clinic.name AS name,
    clinic.address, postal_code, clinic.latitude, clinic.longitude, fee_minor, funding::text, gender::text AS gender,
    languages, practising_since, accepts_new_patients, rating_total, rating_count, max_booking_days,
    array(SELECT speciality_id FROM directory.provider_speciality AS s WHERE s.provider_id = provider.provider_id)
        AS specialities
FROM directory.provider_clinic JOIN directory.provider USING (provider_id) JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
ORDER BY provider_id, clinic_id
"""


@dataclass
class Trial:
    """One directory, for all the examples of a test; what happens in its books stays for the next."""

    db: Database
    runner: asyncio.Runner
    now: datetime = NIGHT
    patients: list[int] = field(default_factory=list)
    random: Random = field(default_factory=lambda: Random(7))
    posts: list[Record] = field(default_factory=list)
    services: list[Record] = field(default_factory=list)
    free: dict[tuple[int, int], list[datetime]] = field(default_factory=dict)
    fitting: dict[tuple[int, int, tuple[int, ...]], list[datetime]] = field(default_factory=dict)
    found: int = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def build(self) -> None:
        db, draw = self.db, self.random
        await freeze_clock(db)
        await set_clock(db, self.now)
        self.patients = await make_patients(db, 1500)
        for slug, zone, latitude, longitude in CITIES:
            await db.execute(
                "INSERT INTO directory.city (slug, name, time_zone, latitude, longitude) VALUES ($1, $1, $2, $3, $4)",
                slug,
                zone,
                latitude,
                longitude,
            )
        await db.execute(
            "INSERT INTO directory.speciality (slug, name) SELECT n, n FROM unnest($1::text[]) AS n", ["a", "b", "c"]
        )
        for name, is_test in SERVICE_TYPES.items():
            await db.execute(
                "INSERT INTO directory.service_type (slug, name, is_test) VALUES ($1, $2, $3)",
                name.replace(" ", "-"),
                name,
                is_test,
            )
        for number in range(9):
            _, _, latitude, longitude = CITIES[number % 3]
            known = number != 4  # where this one is, nobody knows
            await db.execute(
                """INSERT INTO directory.clinic (
                    identifier, city_id, name, address, postal_code, latitude, longitude, lead_minutes)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
                f"c{number}",
                number % 3 + 1,
                draw.choice(WORDS) + " clinic",
                f"{number} Main Road",
                f"41100{number % 4}",
                latitude + draw.uniform(-0.1, 0.1) if known else None,
                longitude + draw.uniform(-0.1, 0.1) if known else None,
                draw.choice([10, 10, 60, 7]),
            )
        for number in range(24):
            await self._add_provider(number)

    async def _add_provider(self, number: int) -> None:
        db, draw = self.db, self.random
        count = draw.choice([0, 1, 5, 40])
        provider = await db.fetch_value(
            """INSERT INTO directory.provider (
                identifier, type, name, gender, languages, practising_since, rating_total, rating_count,
                accepts_new_patients, max_booking_days)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING provider_id""",
            f"p{number}",
            draw.choice(TYPES),
            f"Dr {draw.choice(WORDS)} {number}",
            draw.choice(["female", "male", None]),
            draw.sample(["Hindi", "English", "Marathi"], 2),
            draw.choice([1990, 2005, 2020, None]),
            round(count * draw.uniform(1, 5)),
            count,
            draw.random() < 0.8,
            draw.choice([1, 4, 9]),
        )
        for speciality in draw.sample([1, 2, 3], draw.choice([0, 1, 2])):
            await db.execute("INSERT INTO directory.provider_speciality VALUES ($1, $2)", provider, speciality)
        clinics = draw.sample(range(1, 10), draw.choice([1, 1, 2, 3]))
        for place, clinic in enumerate(clinics):
            await db.execute(
                "INSERT INTO directory.provider_clinic VALUES ($1, $2, $3, $4)",
                provider,
                clinic,
                fee := draw.choice([0, 30000, 70000]),
                "clinic" if fee else draw.choice(["clinic", "free"]),
            )
            for weekday in draw.sample(range(1, 8), draw.choice([0, 1, 3, 7])):
                # Each clinic has hours of its own, and some of a day are left out, so that nobody is in two places.
                for starts in draw.sample([8 + 5 * place, 10 + 5 * place], draw.choice([1, 2])):
                    valid = Range(date(2026, 10, 24), None) if draw.random() < 0.02 else Range(None, None)
                    await db.execute(
                        """INSERT INTO schedule.shift (
                            provider_id, clinic_id, weekday, starts, ends, slot_minutes, seats, valid)
                        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
                        provider,
                        clinic,
                        weekday,
                        time(starts, draw.choice([0, 7])),
                        time(starts + 1, 45),
                        draw.choice([20, 30, 50]),
                        draw.choice([1, 1, 2]),
                        valid,
                    )
        for service_type_id in draw.sample(range(1, len(SERVICE_TYPES) + 1), draw.choice([0, 2, 4])):
            where: list[list[int | None]] = [[None], [None], [clinics[0]], [None, clinics[-1]]]
            for at in draw.choice(where):
                await self._add_service(provider, at, service_type_id)

    async def _add_service(self, provider: int, clinic: int | None, service_type_id: int) -> None:
        draw = self.random
        fee, length_minutes = draw.choice([0, 20000, 40000, 40000, 80000]), draw.choice([0, 20, 45, 45, 105])
        await self.db.execute(
            """INSERT INTO directory.service (
                provider_id, clinic_id, service_type_id, length_minutes, buffer_minutes, starts_every, weekdays,
                fee_minor, funding, closed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $10 THEN now() END)""",
            provider,
            clinic,
            service_type_id,
            length_minutes,
            min(draw.choice([0, 0, 10]), length_minutes),
            draw.choice([1, 1, 2]),
            draw.choice([127, 127, draw.randint(1, 127)]),
            fee,
            "clinic" if fee else draw.choice(["clinic", "free"]),
            draw.random() < 0.1,
        )

    def look(self) -> None:
        """Read every row, and every slot as the slots endpoint shows it."""
        self.posts = self.run(self.db.fetch(POSTS))
        self.services = self.run(
            self.db.fetch("SELECT * FROM directory.service WHERE closed_at IS NULL ORDER BY service_id")
        )
        self.fitting.clear()
        book = Book(self.db)
        for post in self.posts:
            key = post["provider_id"], post["clinic_id"]
            chart = self.run(book.chart(*key, self.now, self.now + timedelta(days=12), 1, None))
            self.free[key] = [slot["starts_at"] for slot in chart if slot["state"] == "free"]

    def happen(self, what: str) -> None:
        book, draw = Book(self.db), self.random
        if what == "time":
            self.now += draw.choice([timedelta(minutes=1), timedelta(seconds=306), timedelta(hours=7)])
            self.run(set_clock(self.db, self.now))
        elif what == "leave":
            post = draw.choice(self.posts)
            begins = self.now + timedelta(hours=draw.randint(0, 90))
            stretch = Range(begins, begins + timedelta(hours=draw.choice([3, 30])))
            clinic = draw.choice([None, post["clinic_id"]])
            self.run(
                self.db.fetch(
                    "SELECT * FROM booking.change_leave($1, NULL, $2, $3, '', NULL, true, 'system:test')",
                    post["provider_id"],
                    clinic,
                    stretch,
                )
            )
        elif what == "book":
            # Mostly a day's last slots: those are what search keeps a note of.
            sign = draw.choice([-1, -1, 1])
            for post in draw.sample(self.posts, 5):
                key = post["provider_id"], post["clinic_id"]
                for start in sorted(self.free[key], key=lambda at: (at.date(), sign * at.timestamp()))[
                    : draw.choice([1, 3, 8])
                ]:
                    patient = self.patients.pop()
                    held = self.run(book.hold(*key, start, 1, patient, Patient(patient)))
                    if held.code == "reserved" and draw.random() < 0.7:
                        self.run(book.confirm(key[0], held.booking_id, None, Patient(patient)))
        elif what == "cancel":
            for row in self.run(
                self.db.fetch("SELECT * FROM booking.booking WHERE state = 'booked' ORDER BY random() LIMIT 2")
            ):
                self.run(book.cancel(row["provider_id"], row["booking_id"], Patient(row["patient_id"])))
        self.look()

    def expected(
        self, wanted: dict[str, Any], center: tuple[float, float] | None
    ) -> list[tuple[int, int, date | None]]:
        rows = []
        for post in self.posts:
            service_ids, price = self.offer(post, wanted)
            day = self.first_day(post, wanted, service_ids)
            distance = (
                None
                if center is None or post["latitude"] is None
                else distance_m(center, (post["latitude"], post["longitude"]))
            )
            charged = post["fee_minor"] if service_ids is None else price or 0
            offered = {one["service_type_id"] for one in self.services_at(post)}
            if matches(post, wanted, distance, charged, offered) and (
                day is not None or not {"starts_from", "starts_before"} & wanted.keys()
            ):
                rows.append((post, day, distance, price))
        rows.sort(key=lambda row: sort_key(wanted, *row))
        once: dict[int, tuple[int, int, date | None]] = {}
        for post, day, _, _ in rows:
            once.setdefault(post["provider_id"], (post["provider_id"], post["clinic_id"], day))
        return list(once.values())

    def services_at(self, post: Record) -> list[Record]:
        """Return what is offered there: the clinic's own, and of other types what all clinics of the provider have."""
        of_all, own = (
            {
                one["service_type_id"]: one
                for one in self.services
                if one["provider_id"] == post["provider_id"] and one["clinic_id"] == clinic_id
            }
            for clinic_id in (None, post["clinic_id"])
        )
        return list((of_all | own).values())

    def offer(self, post: Record, wanted: dict[str, Any]) -> tuple[tuple[int, ...] | None, int | None]:
        """Return the cheapest service of each wanted group there, and what they or (None) a visit cost, if known."""
        if "groups" not in wanted:
            return None, post["fee_minor"] or (0 if post["funding"] == "free" else None)
        offered = self.services_at(post)
        fitting = [[one for one in offered if one["service_type_id"] in group] for group in wanted["groups"]]
        if not all(fitting):
            return None, None
        chosen = [
            min(group, key=lambda one: (is_unknown(one), one["fee_minor"], one["service_id"])) for group in fitting
        ]
        price = None if any(map(is_unknown, chosen)) else sum(one["fee_minor"] for one in chosen)
        return tuple(one["service_id"] for one in chosen), price

    def starts(self, post: Record, service_ids: tuple[int, ...] | None) -> list[datetime]:
        key = post["provider_id"], post["clinic_id"]
        if service_ids is None:
            return self.free[key]
        if (*key, service_ids) not in self.fitting:
            ends = self.now + timedelta(days=12)
            chart = self.run(Book(self.db).chart(*key, self.now, ends, 1, None, service_ids))
            self.fitting[*key, service_ids] = [slot["starts_at"] for slot in chart if slot["fits"]]
        return self.fitting[*key, service_ids]

    def first_day(self, post: Record, wanted: dict[str, Any], service_ids: tuple[int, ...] | None) -> date | None:
        begins, ends = wanted.get("starts_from", self.now), wanted.get("starts_before")
        starts = [at for at in self.starts(post, service_ids) if at >= begins and (ends is None or at < ends)]
        return min(starts).astimezone(ZoneInfo(post["time_zone"])).date() if starts else None


def distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    (a, b), (c, d) = (map(math.radians, place) for place in (one, other))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(half))


def is_unknown(service: Record) -> bool:
    is_unknown: bool = service["fee_minor"] == 0 and service["funding"] != "free"
    return is_unknown


def matches(post: Record, wanted: dict[str, Any], distance: float | None, charged: int, offered: set[int]) -> bool:
    ask = wanted.get
    mean = (20 * post["rating_total"] // post["rating_count"] + 1) // 2 / 10 if post["rating_count"] else 0.0
    return (
        ask("city_id") in (None, post["city_id"])
        and ask("gender") in (None, post["gender"])
        and ask("accepts_new_patients") in (None, post["accepts_new_patients"])
        and ask("language") in (None, *(language.lower() for language in post["languages"]))
        and charged >= ask("fee_min", 0) * 100
        and charged <= ask("fee_max", 10**7) * 100
        and (
            "practising_since_max" not in wanted or (post["practising_since"] or 9999) <= wanted["practising_since_max"]
        )
        and mean >= ask("rating_min", 0)
        and all(
            any(has(post, one, offered) for one in part.strip("()").split(" | "))
            for part in ask("terms", "").split(" & ")
            if part
        )
        and (ask("ordering") != "distance_asc" or distance is not None)
        and ("radius_m" not in wanted or (distance is not None and distance <= wanted["radius_m"]))
    )


def has(post: Record, lexeme: str, offered: set[int]) -> bool:
    kind, _, value = lexeme.strip("'").rpartition(":")
    known: dict[str, bool] = {
        "": value in f"{post['name']} {post['address']}".lower().split(),
        "speciality": value in map(str, post["specialities"]),
        "type": value == post["type"],
        "city": value == str(post["city_id"]),
        "pin": value == post["postal_code"],
        "clinic": value == str(post["clinic_id"]),
        "service": value in map(str, offered),
    }
    return known[kind]


def sort_key(
    wanted: dict[str, Any], post: Record, day: date | None, distance: float | None, price: int | None
) -> tuple[Any, ...]:
    score = struct.unpack("f", struct.pack("f", (post["rating_total"] + 35) / (post["rating_count"] + 10)))[0]
    rest = (-score, post["provider_id"], post["clinic_id"])
    order = wanted["ordering"]
    names, _, direction = order.rpartition("_")
    if order == "experience_desc":
        return (post["practising_since"] is None, post["practising_since"] or 0, *rest)
    if order == "best":
        return (
            post["provider_id"] not in wanted.get("own_ids", ()),
            wanted.get("name_terms") is not None
            and wanted["name_terms"].strip("'n:") not in post["name"].lower().split(),
            *rest,
        )
    if names == "rating":
        return rest if direction == "desc" else (score, -post["provider_id"], -post["clinic_id"])
    if names == "distance":
        return (distance, *rest[1:])
    sign = 1 if direction == "asc" else -1
    if names == "price":
        return (price is None, sign * (price or 0), *rest)
    dated = (day is None, 0 if day is None else sign * day.toordinal())
    typed = tuple(sign * ord(letter) for letter in post["type"])
    return (*(part for name in names.split("_") for part in (dated if name == "date" else (typed,))), *rest)


def take_too_far(trial: Trial, function: str, right: str, wrong: str) -> str:
    """Replace a part of a function, and return what it was."""
    source: str = trial.run(trial.db.fetch_value(f"SELECT pg_get_functiondef('search.{function}'::regproc)"))
    assert right in source
    trial.run(trial.db.execute(source.replace(right, wrong)))
    return source
