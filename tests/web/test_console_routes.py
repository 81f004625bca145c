"""Routes x roles x clinics x objects, from the list of routes: app and database each keep out whom they should.

Routes that are added later are taken in by themselves; of another kind of object, objects.py says how to make one.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from litestar import Litestar, Router, get, post
from litestar.params import FromPath

from healthplus.console.console import queries
from healthplus.database import Database
from healthplus.errors import NotFound
from healthplus.settings import Settings
from healthplus.staff import sessions
from healthplus.staff.rights import RIGHTS, ROLES, Right, Role, has_right
from healthplus.web.app import create_routes
from healthplus.web.desk.session import console, enter_desk, needs
from healthplus.web.services import AnyRequest
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser
from tests.web.objects import OBJECTS, OF_NO_CLINIC, make_objects, parameters
from tests.web.staff import log_in
from tests.web.test_staff_routes import OPEN, desk_routes

OWN, OTHER = 1, 2
REFUSED, NOT_THERE = 403, 404


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
    return {role: await log_in(app, db, role, OWN) for role in ROLES}


async def ask(db: Database, browser: Browser, name: str, clinic_id: int, objects_at: int) -> int:
    """Send the request of a route for a clinic, with objects of one; return its status, a log-in page's being 401."""
    method, path = name.split(" ")
    named = [one for one in parameters(path) if one != "clinic_id"]
    path = path.format(clinic_id=clinic_id, **(await make_objects(db, objects_at, named) if named else {}))
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
                if may and set(parameters(name)) & OBJECTS.keys() - OF_NO_CLINIC and clinic_id is not None:
                    status = await ask(db, browser, name, clinic_id, OTHER if clinic_id == OWN else OWN)
                    if status not in (REFUSED, NOT_THERE):
                        found.append(f"{name}: {role} at {clinic_id} gets {status} for another clinic's")
    return found


@pytest.mark.timeout(180)  # it asks for every route in every role
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


@pytest.mark.timeout(180)
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
