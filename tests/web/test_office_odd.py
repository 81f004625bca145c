"""Whatever is sent to the office's pages: an answer that is no fault of ours."""

from __future__ import annotations

import asyncio
from itertools import cycle
from uuid import UUID

from litestar import Litestar

from healthplus.database import Database
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import moves_of, seen_at
from healthplus.web.languages import ENGLISH
from tests.fixtures.environment import PROVIDER
from tests.web.client import Browser
from tests.web.objects import OBJECTS, make_objects
from tests.web.staff import CLINIC, DOCTOR, OFFICE, SHIFT, WEEK, shift_of
from tests.web.test_odd_requests import NO_FORMS, ODD, check
from tests.web.test_staff_routes import desk_routes

ODD_FIELDS = (
    *(
        "starts",
        "ends",
        "slot_minutes",
        "seats",
        "weekday",
        "valid_from",
        "since",
        "was",
        "week",
        "seen",
        "from_day",
        "to_1",
    ),
    *(
        "last_day",
        "closing",
        "photo_text",
        "text",
        "place",
        "who",
        "to_day",
        "from_time",
        "reason",
        "key",
        f"move_{UUID(int=1)}",
        "provider",
        "name",
        "fee",
        "kind",
    ),
    *("length_minutes", "buffer_minutes", "funding", "service", "unit", "hours_1", "kept_1", "version", "languages"),
    *(
        "specialities",
        "type",
        "gender",
        "bio",
        "practising_since",
        "max_booking_days",
        "latitude",
        "postal_code",
        "gstin",
        "lead_minutes",
    ),
    *("log_on", "role", "clinic", "known", "told", "happened", "data", "people", "per_day", "expires_days", "factors"),
)


ODD_QUERIES = (
    *("week", "who", "day", "change", "service", "provider", "name", "done", "moved"),
    *("what", "patient", "booking", "from", "before", "after", "after_id"),
)


async def test_nothing_odd_breaks_the_office(administrator: Browser, app: Litestar, db: Database) -> None:
    """Every page with odd queries, and every form with odd fields, as somebody who may have them."""
    filled = {
        **SHIFT, **DOCTOR, "day_1": "1", "weekday": "1", "who": str(PROVIDER), "from_day": "2083-03-01",
        "provider": "1", "kind": "visit", "length_minutes": "30", "unit": "percent", "hours_1": "24", "kept_1": "10",
        "address": "a", "city": "Pune", "state": "M", "log_on": "a.b.c", "role": "desk", "clinic": "1",
        "known": "2026-11-01T09:00", "told": "2026-11-01T10:00", "happened": "x", "data": "y", "scope_search": "1",
        "per_minute": "1", "per_day": "1",
    }  # fmt: skip
    ids = {"clinic_id": CLINIC, **await make_objects(db, CLINIC, OBJECTS)}
    odd = [one for one in ODD if one]
    asked = 0
    for route in dict(desk_routes(app)):  # once for all languages
        method, path = route.split(" ")
        if not path.startswith("/office"):
            continue
        address = path.format(**ids)
        if method == "GET":
            for value, name in zip(cycle(odd), ODD_QUERIES, strict=False):
                check(await administrator.http.get(address, params={name: value}), (address, name, value))
            continue
        # Of the odd values of the fields each form has some, and others have others.
        for number, name in enumerate(ODD_FIELDS[len(path) % 5 :: 5]):
            value = ODD[(number + len(path)) % len(ODD)]
            check(await administrator.http.post(address, data={**filled, name: value}), (address, name, value))
            asked += 1
        for kind, body in NO_FORMS:
            answer = await administrator.http.post(address, content=body, headers={"Content-Type": kind})
            check(answer, (address, kind, body))
    assert asked > 100


NUL_QUERIES = (
    *("/office/staff?name=%00a&after=%00b", "/office/system/clinics?name=%00a&after=%00b&after_id=%00"),
    *("/office/audit?who=%00a&what=%00b", "/office/audit/export?who=%00a&what=%00b"),
    *(f"/office/{CLINIC}/audit?who=%00a&what=%00b", f"/office/{CLINIC}/audit/export?who=%00a&what=%00b"),
    *("/office/audit?before=9999-12-31T23:59:59-23:00~1", "/office/audit?before=0001-01-01T00:00:00%2B14:00~1"),
)
FAR = ("9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", "1999-12-31T23:59:59+00:00")
NOBODY = f"move_{'-' * 36}"


async def test_no_nul_and_no_far_instant_reaches_the_database(administrator: Browser) -> None:
    for path in NUL_QUERIES:
        answer = await administrator.http.get(path)
        assert answer.status_code == 200, (path, answer.status_code)


async def test_what_names_nobody_and_instants_far_away_are_passed_over(administrator: Browser, db: Database) -> None:
    shift = f"{WEEK}/shift/{await shift_of(db, 1)}"
    leave = {"who": str(PROVIDER), "from_day": "2083-03-01", "reason": "x", "key": "k"}
    for path, form in (
        (f"{WEEK}/copy", {"from_day": "0", f"to_{'9' * 5000}": "1"}),
        (f"{WEEK}/copy", {"from_day": "0", "to_\u00b2": "1", "to_\u0663": "1", "to_0": "1"}),
        *((path, {**form, "seen": far, NOBODY: far, f"move_{UUID(int=1)}": far}) for far in FAR
          for path, form in ((f"{OFFICE}/leave", leave), (shift, {**SHIFT, "weekday": "1"}), (f"{shift}/end", {}))),
    ):  # fmt: skip
        answer = await administrator.http.post(path, data=form)
        assert answer.status_code in (303, 404, 409, 422), (path, list(form), answer.status_code)
    valid = f"move_{UUID(int=1)}"
    sent = Form({NOBODY: "2027-01-01T10:00:00+00:00", valid: "2027-01-01T10:00:00+00:00", "seen": FAR[0]}, ENGLISH)
    assert moves_of(sent) == {str(UUID(int=1)): "2027-01-01T10:00:00+00:00"}
    assert seen_at(sent) is None


async def test_cities_of_one_slug_are_several_and_a_rush_for_one_makes_one(
    administrator: Browser, db: Database
) -> None:
    clinic = {"name": "C", "address": "1 Road", "lead_minutes": "10"}

    async def add(city: str, state: str) -> None:
        answer = await administrator.http.post("/office/new", data={**clinic, "city": city, "state": state})
        assert answer.status_code == 303, (city, state, answer.status_code)

    for city, state in (
        ("Zed X", "S1"),
        ("Zed X", "S2"),
        ("Zed-X", "S2"),
        ("zed.X", "S2"),
        ("Zed, X", "S2"),
        ("zed.x", "S2"),
    ):
        await add(city, state)
    await asyncio.gather(*(add(city, "S3") for city in ("Rush Y", "rush y", "Rush-Y", "Rush.Y", "Rush Y")))
    names = [
        row["name"].lower() for row in await db.fetch("SELECT name FROM directory.city WHERE slug ~ '^(zed|rush)'")
    ]
    assert sorted(names) == sorted(("zed x", "zed x", "zed-x", "zed.x", "zed, x", "rush y", "rush-y", "rush.y"))
