"""Whatever is sent to the office's pages: an answer that is no fault of ours."""

from __future__ import annotations

from itertools import cycle
from uuid import UUID

from litestar import Litestar

from healthplus.database import Database
from tests.fixtures.environment import PROVIDER
from tests.web.client import Browser
from tests.web.objects import OBJECTS, make_objects
from tests.web.staff import CLINIC, DOCTOR, SHIFT
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
