"""The tabs of the office: each role sees those of which it may have the pages, and no others."""

from __future__ import annotations

import re

import pytest
from litestar import Litestar

from healthplus.database import Database
from healthplus.staff.rights import RIGHTS, ROLES, Role
from healthplus.web.desk.office.tabs import ADMINISTRATION_TABS, CLINIC_TABS
from tests.web.client import Browser
from tests.web.staff import CLINIC, goes_to, log_in
from tests.web.staff import OFFICE as OWN
from tests.web.test_staff_routes import desk_routes


async def tabs(browser: Browser, path: str) -> list[str]:
    """Return where the tabs of a page lead."""
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    found = re.search(r'(?s)<nav class="tabs".*?</nav>', answer.text)
    return re.findall(r'href="([^"]+)"', found[0]) if found else []


@pytest.mark.parametrize("role", ROLES)
async def test_every_tab_that_is_shown_answers(app: Litestar, db: Database, role: Role) -> None:
    browser = await log_in(app, db, role, None if role == "administrator" else CLINIC)
    begins = [OWN, "/office/system/clinics"] if role == "administrator" else [OWN] if role == "ward" else []
    has_link = 'href="/office"' in (await browser.get("/desk")).text
    assert has_link == bool(begins)
    assert (await browser.get("/office")).status_code == (200 if role == "ward" else 303 if begins else 403)
    for begin in begins:
        shown = await tabs(browser, begin)
        assert len(shown) == len(CLINIC_TABS if begin == OWN else ADMINISTRATION_TABS)
        for path in shown:
            assert await tabs(browser, path) == shown, path


async def test_who_sees_the_audit_alone_comes_to_it(
    app: Litestar, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = await log_in(app, db, "ward", CLINIC)
    for right, roles in RIGHTS.items():
        if right != "see_audit":
            monkeypatch.setitem(RIGHTS, right, roles - {"ward"})
    assert 'href="/office"' in (await ward.get("/desk")).text
    assert f'href="{OWN}/audit"' in (await ward.get("/office")).text
    assert await tabs(ward, f"{OWN}/audit") == [f"{OWN}/audit"]
    assert (await ward.get(OWN)).status_code == 403


async def test_who_sees_to_all_clinics_looks_for_them_by_name(administrator: Browser, db: Database) -> None:
    assert goes_to(await administrator.get("/office")) == "/office/system/clinics"
    assert (await administrator.get("/office/system/clinics?name=%00&after=%00")).status_code == 200


def test_tabs_are_pages_of_their_right(routes: Litestar) -> None:
    """What a tab needs is what its route needs, so that none is shown that refuses who sees it."""
    rights = {name: handler.opt["access"] for name, handler in desk_routes(routes)}
    for root, tabs_there in (("/office/{clinic_id}", CLINIC_TABS), ("/office", ADMINISTRATION_TABS)):
        assert all(rights[f"GET {root}{tab.path}"] == tab.right for tab in tabs_there)
