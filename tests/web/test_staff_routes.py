"""Every route of the desk says whom it is for, and is for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from litestar import Litestar, Router, get
from litestar.params import FromPath
from litestar.routes import HTTPRoute

from healthplus.database import Database
from healthplus.settings import Settings
from healthplus.staff.rights import RIGHTS, ROLES, Right, Role, has_right
from healthplus.web.app import create_routes
from healthplus.web.desk import texts
from healthplus.web.desk.session import enter_desk, needs
from healthplus.web.languages import split_path
from tests.fixtures.staff import PASSWORD, cheap_hashes, make_staff
from tests.web.client import Browser

OPEN = {"anybody", "logged_in", "locked"}
ANYBODY = {
    "GET /desk/log-in",
    "POST /desk/log-in",
    "GET /desk/log-in/code",
    "POST /desk/log-in/code",
    "GET /desk/switch",
    "GET /desk/welcome",
    "POST /desk/welcome",
}
"""What is there for those who are not logged in. Nothing joins it without a reason."""


def desk_routes(app: Litestar) -> Iterator[tuple[str, Any]]:
    """Yield each route of the desk and its handler."""
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        path = split_path(route.path_format)[1]
        if path == "/desk" or path.startswith(("/desk/", "/office")):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS":
                    yield f"{method} {path}", handler


def unnamed(app: Litestar) -> list[str]:
    return [name for name, handler in desk_routes(app) if handler.opt.get("access") not in OPEN | RIGHTS.keys()]


def test_every_route_names_its_access(routes: Litestar) -> None:
    found = dict(desk_routes(routes))
    assert len(found) > 20
    assert unnamed(routes) == []
    assert {name for name, handler in found.items() if handler.opt["access"] == "anybody"} == ANYBODY


def test_what_no_page_is_for_is_promised_to_nobody(routes: Litestar) -> None:
    within_pages = {"add_speciality"}  # of a part of one
    needed = {handler.opt["access"] for _, handler in desk_routes(routes)} | within_pages
    assert RIGHTS.keys() - needed == texts.WITHOUT_PAGES


def test_rights_are_listed_once_and_each_has_words() -> None:
    assert set(get_args(Right)) == set(RIGHTS) == texts.RIGHTS.keys()
    assert set(ROLES) == texts.ROLES.keys()
    assert all(set(roles) <= set(ROLES) and roles for roles in RIGHTS.values())


@get("/desk/unnamed")
async def _unnamed() -> str:
    return "secret"


@get("/desk/clinic/{clinic_id:int}", **needs("change_booking"))
async def _clinic(clinic_id: FromPath[int]) -> str:
    return f"clinic {clinic_id}"


@pytest.fixture
def routes() -> Litestar:
    """The product's routes, to which a test here adds."""
    return create_routes(Settings(None, Path()))


async def test_one_that_names_none_is_for_nobody(app: Litestar, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_hashes(monkeypatch)
    app.register(Router("/", route_handlers=[_unnamed, _clinic], before_request=enter_desk))
    assert unnamed(app) == ["GET /desk/unnamed"]
    people: list[tuple[Role, int | None]] = [
        ("desk", 1), ("ward", 1), ("ward", 2), ("practitioner", 1), ("administrator", None),
    ]  # fmt: skip
    for number, (role, clinic_id) in enumerate(people):
        log_on = f"person{number}"
        await make_staff(db, log_on, role, clinic_id, secret=app.state.services.secret)
        desk = Browser(app)
        await desk.post("/desk/log-in", {"log_on": log_on, "password": PASSWORD})
        assert (await desk.get("/desk/unnamed")).status_code == 403
        for clinic in (1, 2):
            answer = await desk.get(f"/desk/clinic/{clinic}")
            may = has_right({clinic_id: role}, "change_booking", clinic)
            assert (answer.status_code, may) == ((200, True) if may else (403, False)), (role, clinic_id, clinic)
    assert (await Browser(app).get("/desk/unnamed")).status_code != 200
