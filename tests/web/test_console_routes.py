"""Routes x roles x clinics x objects, from the list of routes: app and database each keep out whom they should.

Routes that are added later are taken in by themselves. One of another kind of object says in OBJECTS how to make one.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from litestar import Litestar, Router, get, post
from litestar.params import FromPath

from healthplus.accounts.keys import add_key
from healthplus.console.console import queries
from healthplus.database import Database
from healthplus.errors import NotFound
from healthplus.settings import Settings
from healthplus.staff import sessions
from healthplus.staff.accounts import add_staff, set_role
from healthplus.staff.rights import RIGHTS, ROLES, Right, Role, has_right
from healthplus.web.app import create_routes
from healthplus.web.desk.session import console, enter_desk, needs
from healthplus.web.services import AnyRequest
from tests.fixtures.staff import OPERATOR, PASSWORD, cheap_hashes, make_staff
from tests.web.client import Browser
from tests.web.test_staff_routes import OPEN, desk_routes

OWN, OTHER = 1, 2
REFUSED, NOT_THERE = 403, 404

_serial = itertools.count(1)


async def _desk_account(db: Database, clinic_id: int) -> int:
    staff_id = await add_staff(db, f"desk.account{next(_serial)}", "Desk", OPERATOR)
    await set_role(db, staff_id, clinic_id, "desk", OPERATOR)
    return staff_id


async def _provider(db: Database, clinic_id: int) -> object:
    return await db.fetch_value(
        "WITH made AS (INSERT INTO directory.provider (identifier, type, name) VALUES ($2, 'doctor', 'Dr X') "
        "RETURNING provider_id) INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding) "
        "SELECT provider_id, $1, 0, 'free' FROM made RETURNING provider_id",
        clinic_id,
        f"routes-{next(_serial)}",
    )


async def _shift(db: Database, clinic_id: int) -> object:
    return await db.fetch_value(
        "INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes) "
        "VALUES ($1, $2, 1, '09:00', '10:00', 30) RETURNING shift_id",
        await _provider(db, clinic_id),
        clinic_id,
    )


async def _leave(db: Database, clinic_id: int) -> object:
    """Make a holiday of one, whose leave has its id."""
    return await db.fetch_value(
        "INSERT INTO schedule.leave (leave_id, holiday_id, provider_id, clinic_id, during, reason) "
        "SELECT id, id, $1, $2, tstzrange(now(), now() + interval '1 year'), '' FROM gen_random_uuid() AS id "
        "RETURNING leave_id",
        await _provider(db, clinic_id),
        clinic_id,
    )


async def _service(db: Database, clinic_id: int) -> object:
    return await db.fetch_value(
        "WITH type AS (INSERT INTO directory.service_type (slug, name, is_test) VALUES ($3, $3, false) "
        "RETURNING service_type_id) INSERT INTO directory.service "
        "(provider_id, clinic_id, service_type_id, length_minutes, fee_minor, funding) "
        "SELECT $1, $2, service_type_id, 10, 0, 'free' FROM type RETURNING service_id",
        await _provider(db, clinic_id),
        clinic_id,
        f"routes-{next(_serial)}",
    )


async def _ask(db: Database, clinic_id: int) -> object:
    staff_id = await _desk_account(db, clinic_id)
    opened = "SELECT staff.open_ask($1, 1, gen_random_uuid(), NULL, 'cancel', '{}', '{}', 'x', $2)"
    return await db.fetch_value(opened, clinic_id, staff_id)


async def _breach(db: Database, _: int) -> object:
    return await db.fetch_value("SELECT staff.note_breach(public.app_now(), 'staff:1', 'x', 'y', NULL, '')")


async def _key(db: Database, _: int) -> object:
    return (await add_key(db, "Acme", ["search"]))[0]


async def _picture(db: Database, clinic_id: int) -> object:
    return await db.fetch_value(
        "INSERT INTO directory.clinic_picture (clinic_id, position, hash, source) "
        "SELECT $1, 1, md5($1::text), '' ON CONFLICT (clinic_id, position) DO UPDATE SET hash = excluded.hash "
        "RETURNING hash",
        clinic_id,
    )


OBJECTS: dict[str, Callable[[Database, int], Awaitable[object]]] = {
    "staff_id": _desk_account,
    "provider_id": _provider,
    "shift_id": _shift,
    "leave_id": _leave,
    "holiday_id": _leave,
    "service_id": _service,
    "ask_id": _ask,
    "picture": _picture,
    "breach_id": _breach,
    "key_id": _key,
}
"""How to make what a route's path names, at a clinic and nowhere else."""


@get("/office/{clinic_id:int}/trial", **needs("manage_desk_accounts"))
async def _accounts(request: AnyRequest, clinic_id: FromPath[int]) -> str:
    return str(len(await console(request).fetch(queries.clinic_accounts, clinic_id)))


@post("/office/{clinic_id:int}/trial/{staff_id:int}", **needs("manage_desk_accounts"))
async def _remove(request: AnyRequest, clinic_id: FromPath[int], staff_id: FromPath[int]) -> str:
    row = await console(request).change(queries.remove_from_desk, clinic_id, staff_id)
    if row is None or row[0] != "done":
        raise NotFound
    return "done"


@get("/office/{clinic_id:int}/trial/mistaken", **needs("see_clinic"))
async def _mistaken(request: AnyRequest, clinic_id: FromPath[int]) -> str:
    """Names another right than the function that it calls."""
    return str(len(await console(request).fetch(queries.clinic_accounts, clinic_id)))


@get("/office/{clinic_id:int}/trial/unnamed")
async def _unnamed(clinic_id: FromPath[int]) -> str:
    return f"clinic {clinic_id}"


_MISTAKES = {"GET /office/{clinic_id}/trial/mistaken", "GET /office/{clinic_id}/trial/unnamed"}


@functools.cache
def _routes() -> Litestar:
    routes = create_routes(Settings(None, Path()))
    routes.register(Router("/", route_handlers=[_accounts, _remove, _mistaken, _unnamed], before_request=enter_desk))
    return routes


@pytest.fixture
def routes() -> Litestar:
    """The product's routes, and some that read and change, and two that are as they must not be."""
    return _routes()


@pytest.fixture
async def desks(app: Litestar, db: Database, monkeypatch: pytest.MonkeyPatch) -> dict[Role, Browser]:
    """Somebody of each role at clinic OWN, logged in; an administrator is one everywhere."""
    cheap_hashes(monkeypatch)
    found: dict[Role, Browser] = {}
    for role in ROLES:
        await make_staff(db, f"some.{role}", role, OWN, secret=app.state.services.secret)
        found[role] = Browser(app)
        answer = await found[role].post("/desk/log-in", {"log_on": f"some.{role}", "password": PASSWORD})
        assert answer.headers["location"] == "/desk"
    return found


def parameters(path: str) -> list[str]:
    return re.findall(r"{(\w+)", path)


async def ask(db: Database, browser: Browser, name: str, clinic_id: int, objects_at: int) -> int:
    """Send the request of a route for a clinic, with objects of one; return its status, a log-in page's being 401."""
    method, path = name.split(" ")
    for parameter in parameters(path):
        assert parameter == "clinic_id" or parameter in OBJECTS, (
            f"{name}: say in OBJECTS how to make a {parameter} at a clinic"
        )
        value = clinic_id if parameter == "clinic_id" else await OBJECTS[parameter](db, objects_at)
        path = path.replace(f"{{{parameter}}}", str(value))
    answer = await (browser.get(path) if method == "GET" else browser.post(path))
    if answer.status_code == 303 and re.match("/desk/(log-in|locked|prove)", answer.headers["location"]):
        return 401
    return answer.status_code


async def wrong(
    app: Litestar, db: Database, desks: dict[Role, Browser], *, mistakes: bool = False, only: str = ""
) -> list[str]:
    """Return which routes, or `only` those with this in their names, let in or keep out whom they should not."""
    found = []
    for name, handler in dict(desk_routes(app)).items():  # once for all languages
        access: Right = handler.opt.get("access")
        if access in OPEN or (name in _MISTAKES) != mistakes or only not in name:
            continue
        if access not in RIGHTS:
            found.append(f"{name} names no right")
            continue
        for role, browser in desks.items():
            roles: dict[int | None, Role] = {None if role == "administrator" else OWN: role}
            for clinic_id in (OWN, OTHER) if "clinic_id" in parameters(name) else (None,):
                may = has_right(roles, access, clinic_id)
                status = await ask(db, browser, name, clinic_id or OWN, clinic_id or OWN)
                if status >= 500 or (status in (401, REFUSED)) == may:
                    found.append(f"{name}: {role} at {clinic_id} gets {status}")
                if may and set(parameters(name)) & OBJECTS.keys() and clinic_id is not None:
                    status = await ask(db, browser, name, clinic_id, OTHER if clinic_id == OWN else OWN)
                    if status not in (REFUSED, NOT_THERE):
                        found.append(f"{name}: {role} at {clinic_id} gets {status} for another clinic's")
    return found


async def test_every_route_keeps_out_whom_it_should(app: Litestar, db: Database, desks: dict[Role, Browser]) -> None:
    assert await wrong(app, db, desks) == []
    for name, handler in dict(desk_routes(app)).items():  # once for all languages
        if handler.opt.get("access") != "anybody" and not parameters(name):
            assert await ask(db, Browser(app), name, OWN, OWN) == 401, name


async def test_a_route_of_no_right_or_a_mistaken_one_is_found_and_lets_nobody_in(
    app: Litestar, db: Database, desks: dict[Role, Browser]
) -> None:
    assert await wrong(app, db, desks, mistakes=True) == [
        "GET /office/{clinic_id}/trial/mistaken: desk at 1 gets 403",
        "GET /office/{clinic_id}/trial/unnamed names no right",
    ]
    assert (await desks["administrator"].get(f"/office/{OWN}/trial/unnamed")).status_code == REFUSED


async def test_app_and_database_keep_them_out_each_alone(
    app: Litestar, db: Database, desks: dict[Role, Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sessions, "has_right", lambda *_: True)
        patch.setattr(sessions, "role_for", lambda roles, *_: next(iter(roles.values()), None))
        assert await wrong(app, db, desks, only="trial") == []
    # Have the database refuse nobody, and every login run everything.
    authorise = await db.fetch_value("SELECT pg_get_functiondef('staff.authorise'::regproc)")
    await db.execute(authorise.replace("IF role IS NULL THEN", "IF false THEN"))
    await db.execute(
        "GRANT EXECUTE ON ALL ROUTINES IN SCHEMA console TO healthplus_desk, healthplus_practitioner, healthplus_ward"
    )
    assert await wrong(app, db, desks) == []
    monkeypatch.setattr(sessions, "has_right", lambda *_: True)
    monkeypatch.setattr(sessions, "role_for", lambda roles, *_: next(iter(roles.values()), None))
    found = await wrong(app, db, desks, only="trial")  # where neither does
    assert "GET /office/{clinic_id}/trial: desk at 1 gets 200" in found
    assert "GET /office/{clinic_id}/trial: ward at 2 gets 200" in found
