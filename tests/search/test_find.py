"""What search finds, in which order and free from which day, against a plain look at every row and every slot."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from healthplus.accounts.actors import Patient
from healthplus.booking.book import Book
from healthplus.database import Database, Range, Record
from healthplus.search.find import Order
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
FIND = "SELECT * FROM search.find(jsonb_populate_record(NULL::search.criteria, $1), $2, $3)"
COUNT = "SELECT search.count_found(jsonb_populate_record(NULL::search.criteria, $1), $2)"
POSTS = """
SELECT provider_id, clinic_id, city_id, time_zone, provider.type::text AS type,
    provider.name || ' ' || clinic.name AS name,
    clinic.address, postal_code, clinic.latitude, clinic.longitude, fee_minor, funding::text, gender::text AS gender, languages,
    practising_since, accepts_new_patients, rating_total, rating_count, max_booking_days,
    array(SELECT speciality_id FROM directory.provider_speciality AS s WHERE s.provider_id = provider.provider_id)
        AS specialities
FROM directory.provider_clinic JOIN directory.provider USING (provider_id) JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
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
            for clinic in draw.choice([[None], [None], [clinics[0]], [None, clinics[-1]]]):
                await self._add_service(provider, clinic, service_type_id)

    async def _add_service(self, provider: int, clinic: int | None, service_type_id: int) -> None:
        draw = self.random
        fee = draw.choice([0, 20000, 40000, 40000, 80000])
        await self.db.execute(
            """INSERT INTO directory.service (
                provider_id, clinic_id, service_type_id, length_minutes, buffer_minutes, starts_every, weekdays, fee_minor,
                funding, closed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $10 THEN now() END)""",
            provider,
            clinic,
            service_type_id,
            draw.choice([0, 20, 45, 45, 105]),
            draw.choice([0, 0, 10]),
            draw.choice([1, 1, 2]),
            draw.choice([127, 127, draw.randint(1, 127)]),
            fee,
            "clinic" if fee else draw.choice(["clinic", "free"]),
            draw.random() < 0.1,
        )

    def look(self) -> None:
        """Read every row, and every slot as the slots endpoint shows it."""
        self.posts = self.run(self.db.fetch(POSTS))
        self.services = self.run(self.db.fetch("SELECT * FROM directory.service WHERE closed_at IS NULL"))
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
                    "SELECT * FROM booking.change_leave($1, NULL, $2, $3, '', true, 'system:test')",
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
        return [
            one
            for one in self.services
            if one["provider_id"] == post["provider_id"] and one["clinic_id"] in (None, post["clinic_id"])
        ]

    def offer(self, post: Record, wanted: dict[str, Any]) -> tuple[tuple[int, ...] | None, int | None]:
        """Return the cheapest services of the wanted types, and what they or (None) a visit cost, if that is known."""
        if "service_type_ids" not in wanted:
            return None, post["fee_minor"] or (0 if post["funding"] == "free" else None)
        chosen = []
        for service_type_id in wanted["service_type_ids"]:
            of_type = [one for one in self.services_at(post) if one["service_type_id"] == service_type_id]
            if not of_type:
                return None, None
            chosen.append(min(of_type, key=lambda one: (is_unknown(one), one["fee_minor"], one["service_id"])))
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
        starts = [
            at
            for at in self.starts(post, service_ids)
            if at >= begins and (ends is None or at < ends)
        ]
        return min(starts).astimezone(ZoneInfo(post["time_zone"])).date() if starts else None


def distance_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    (a, b), (c, d) = (map(math.radians, place) for place in (one, other))
    half = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(half))


def is_unknown(service: Record) -> bool:
    return service["fee_minor"] == 0 and service["funding"] != "free"


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
        and all(has(post, part, offered) for part in ask("terms", "").split(" & ") if part)
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
    if order == "best":
        return (
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


# From the quarter of an hour in which it is, in minutes; hours of some day soon, where a book and its template tell
# different things, more often than others.
QUARTERS = st.integers(-8, 800).map(lambda count: 15 * count)
HOURS = st.builds(
    lambda begins, length: {"starts_from": begins, "starts_before": begins + length},
    st.integers(0, 4 * 72).map(lambda count: 15 * count),
    st.sampled_from([15, 30, 60, 180]),
)
WINDOWS = st.one_of(
    st.just({}),
    HOURS,
    st.fixed_dictionaries({}, optional={"starts_from": QUARTERS, "starts_before": QUARTERS}),
    HOURS.map(lambda ends: {"starts_before": ends["starts_before"]}),
)
LEXEMES = st.lists(
    st.sampled_from(
        [
            *(f"'{word}'" for word in [*WORDS, "main", "clinic"]),
            "'speciality:1'",
            "'speciality:2'",
            "'type:doctor'",
            "'type:lab'",
            "'city:1'",
            "'city:3'",
            "'pin:411001'",
            "'clinic:2'",
            "'service:4'",
        ]
    ),
    min_size=1,
    max_size=2,
).map(" & ".join)
WANTED = st.fixed_dictionaries(
    {"ordering": st.sampled_from([order.value for order in Order])},
    optional={
        "terms": LEXEMES,
        "name_terms": st.sampled_from([f"'n:{word}'" for word in WORDS]),
        "city_id": st.integers(1, 4),
        "radius_m": st.sampled_from([1.0, 3000.0, 9000.0, 200_000.0]),
        "fee_min": st.sampled_from([0, 300, 301]),
        "fee_max": st.sampled_from([0, 300, 699]),
        "practising_since_max": st.sampled_from([1990, 2010]),
        "rating_min": st.sampled_from([1.0, 3.0, 4.5]),
        "gender": st.sampled_from(["female", "male", "other"]),
        "language": st.sampled_from(["hindi", "marathi"]),
        "accepts_new_patients": st.booleans(),
        "service_type_ids": st.sampled_from([[1], [1], [2], [4], [5], [1, 2], [1, 2, 3]]),
    },
)


@pytest.fixture
def trial(dsn: str) -> Iterator[Trial]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        trial = Trial(runner.run(Database.connect(dsn, min_size=1, max_size=1)), runner)
        trial.run(trial.build())
        trial.look()
        yield trial
        trial.run(trial.db.execute("SELECT booking.advance(provider_id) FROM booking.book"))
        trial.run(
            trial.db.execute("UPDATE directory.provider SET rating_total = 0, rating_count = 0")
        )  # nobody gave them
        trial.run(trial.db.close())


def compare(trial: Trial, wanted: dict[str, Any], page: int) -> None:
    center = (18.5, 73.8)
    if wanted["ordering"].startswith("price") and "service_type_ids" in wanted:
        # As parse_request has it.
        offered = [f"'service:{service_type_id}'" for service_type_id in wanted["service_type_ids"]]
        wanted = wanted | {"terms": " & ".join([*wanted.get("terms", "").split(" & "), *offered]).removeprefix(" & ")}
    located = "radius_m" in wanted or wanted["ordering"] == "distance_asc"
    asked = {**wanted, "latitude": center[0], "longitude": center[1]} if located else wanted
    if (ends := wanted.get("starts_before")) is not None and ends <= wanted.get("starts_from", trial.now):
        return  # refused before it comes to search.find
    expected = trial.expected(wanted, center if located else None)
    rows = trial.run(trial.db.fetch(FIND, asked, page * 5, 5))
    found = [(row["provider_id"], row["clinic_id"], row["first_free_on"]) for row in rows]
    assert found == expected[page * 5 : page * 5 + 5], (trial.now, wanted)
    count_max = (3, 1000)[page % 2]
    counted = trial.run(trial.db.fetch_value(COUNT, asked, count_max))
    assert counted == min(len(expected), count_max), (trial.now, wanted)
    trial.found += len(found)


def few(count: int) -> settings:
    # What an example leaves in the books is there for the next: none can be tried again by itself.
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def ask_at_random(trial: Trial, times: int) -> None:
    @few(times)
    @given(
        WANTED,
        WINDOWS,
        st.integers(0, 2),
        st.sampled_from(["nothing"] * 12 + ["book", "book", "time", "leave", "cancel"]),
    )
    def ask(wanted: dict[str, Any], window: dict[str, int], page: int, first: str) -> None:
        if first != "nothing":
            trial.happen(first)
        quarter = trial.now.replace(minute=trial.now.minute // 15 * 15, second=0)
        compare(trial, wanted | {end: quarter + timedelta(minutes=count) for end, count in window.items()}, page)

    ask()


@pytest.mark.timeout(120)
def test_search_finds_what_a_look_at_every_slot_finds(trial: Trial) -> None:
    ask_at_random(trial, 200)
    assert trial.found > 200


def test_each_wish_alone_and_each_order(trial: Trial) -> None:
    trial.happen("book")
    alone: list[dict[str, Any]] = [{"ordering": order.value} for order in Order]
    samples: dict[str, Any] = {
        "terms": "'rao' & 'speciality:1'",
        "name_terms": "'n:ruby'",
        "city_id": 1,
        "radius_m": 9000.0,
        "starts_from": NIGHT + timedelta(days=2),
        "starts_before": NIGHT + timedelta(hours=15),
        "fee_min": 300,
        "fee_max": 300,
        "practising_since_max": 2010,
        "rating_min": 3.0,
        "gender": "female",
        "language": "hindi",
        "accepts_new_patients": False,
        "service_type_ids": [4],
    }
    alone += [{"ordering": "best", name: value} for name, value in samples.items()]
    alone += [{"ordering": order.value, "service_type_ids": ids} for order in Order for ids in ([1], [4], [1, 2])]
    alone += [{"ordering": "price_asc", "service_type_ids": [1], name: samples[name]} for name in ("fee_min", "fee_max")]
    for wanted in alone:
        before = trial.found
        compare(trial, wanted, 0)
        assert trial.found > before, wanted  # finding nothing shows nothing


BROKEN = {
    "scarce days are trusted": ("doubt", "scarce AND (", "false AND ("),
    "what is past counts": ("find", "floor(extract(epoch FROM now_at) / 60)::integer + 1", "0"),
    "hours of the last day are not asked of the book": (
        "find_statement",
        "AND search.first_free_day(provider_id, clinic_id, $8, $9, $10, NULL) IS NOT NULL",
        "",
    ),
    "changing clocks are not looked at": ("doubt", "NOT regular OR", "false OR"),
}
"""Shortcuts taken too far: in which function of search what is replaced by what; the rarer ones take long to be met."""
SLOW = (pytest.mark.long, pytest.mark.timeout(300))


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("name", [*list(BROKEN)[:2], *(pytest.param(name, marks=SLOW) for name in list(BROKEN)[2:])])
def test_a_shortcut_taken_too_far_is_noticed(trial: Trial, name: str) -> None:
    take_too_far(trial, *BROKEN[name])
    with pytest.raises(AssertionError, match="assert"):
        ask_at_random(trial, 1000)


def take_too_far(trial: Trial, function: str, right: str, wrong: str) -> str:
    """Replace a part of a function, and return what it was."""
    source: str = trial.run(trial.db.fetch_value(f"SELECT pg_get_functiondef('search.{function}'::regproc)"))
    assert right in source
    trial.run(trial.db.execute(source.replace(right, wrong)))
    return source


FITS = "SELECT search.surely_fits($1, $2, $3, $4, $5, $6, $7)"
LEAVE = "INSERT INTO schedule.leave (provider_id, clinic_id, during, reason) VALUES ($1, $2, $3, $4::integer::text)"
WITHHELD = """INSERT INTO booking.ticket (provider_id, number, patient_id, clinic_id, queue_window, slots_needed, state,
    joined_at, expires_at, present_at, withheld_seat, withheld_during)
SELECT $1, 1000 + $4, 1, $2, during, 1, 'waiting', now(), 'infinity', now(), 1, during FROM CAST($3 AS tstzrange) AS during"""
ROOM: dict[str, tuple[str, str]] = {
    "shifts have room for anything": ("least(p_last_minute, last_start)", "p_last_minute"),
    "what is booked leaves room": ("occupies AND", "false AND"),
    "leave leaves room": ("FROM schedule.leave WHERE", "FROM schedule.leave WHERE false AND"),
    "what is kept for those who wait leaves room": ("state = 'waiting'", "false"),
    "every slot is a start": ("slot_minutes * (need).starts_every AS step", "slot_minutes AS step"),
    "every day is one": ("& 1 = 1", "& 1 = (need).weekdays >> (weekday - 1) & 1"),
}
"""What a day may be thought to have room for, and is not: in surely_fits, what is replaced by what."""


def look_at_days(trial: Trial) -> tuple[set[tuple[int, int, date]], int]:
    """Return the days on which services surely fit at some hours, and how often more do; fail where they do not fit."""
    sure, more = set(), 0
    for post in trial.posts:
        zone = ZoneInfo(post["time_zone"])
        today = trial.now.astimezone(zone).date()
        for service in trial.services_at(post):
            starts = [at.astimezone(zone) for at in trial.starts(post, (service["service_id"],))]
            for day in (today + timedelta(days=ahead) for ahead in range(1, post["max_booking_days"])):
                first = trial.random.choice([0, 545, 610, 800])
                last = first + trial.random.choice([10, 35, 100, 1439])
                fits = any(at.date() == day and first <= at.hour * 60 + at.minute <= last for at in starts)
                offset = datetime.combine(day, time(), zone).utcoffset() or timedelta()
                where = post["provider_id"], post["clinic_id"], day.toordinal() - date(1970, 1, 1).toordinal()
                minutes = int(offset.total_seconds()) // 60, first, last
                if trial.run(trial.db.fetch_value(FITS, *where, *minutes, [service["service_id"]])):
                    assert fits, (day, minutes, dict(service))
                    sure.add((post["provider_id"], post["clinic_id"], day))
                else:
                    more += fits
    return sure, more


@pytest.mark.breaks_invariants
def test_services_surely_fit_only_where_the_chart_has_room(trial: Trial) -> None:
    trial.run(trial.db.execute("DELETE FROM schedule.shift WHERE valid <> daterange(NULL, NULL)"))  # no regular week
    for _ in range(4):
        trial.happen("book")
    looks = [look_at_days(trial) for _ in range(5)]
    sure = set[tuple[int, int, date]]().union(*(days for days, _ in looks))
    assert len(sure) > 15
    assert any(more for _, more in looks)  # where something is taken, the book is asked
    # On whole days, a provider is away, or the one seat is kept for those who wait.
    for number, (provider, clinic, day) in enumerate(sorted(sure)[:20]):
        stretch = Range(datetime.combine(day, time(), UTC) - timedelta(hours=12), datetime.combine(day, time(22), UTC))
        trial.run(trial.db.execute((LEAVE, WITHHELD)[number % 2], provider, clinic, stretch, number))
    trial.look()
    look_at_days(trial)
    for name, (right, wrong) in ROOM.items():
        source = take_too_far(trial, "surely_fits", right, wrong)
        with pytest.raises(AssertionError, match="assert"):
            for _ in range(3):
                look_at_days(trial)
            pytest.fail(name)
        trial.run(trial.db.execute(source))
