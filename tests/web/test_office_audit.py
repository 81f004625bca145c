"""What is so of every page and form of the office: generated from the list of routes."""

from __future__ import annotations

import re
from itertools import groupby
from typing import NamedTuple

import pytest
from litestar import Litestar

from healthplus.accounts.consent import CURRENT
from healthplus.booking.numbers import number_of
from healthplus.console.console import Console
from healthplus.database import Database
from healthplus.staff.rights import RIGHTS, ROLES, Role, has_right
from healthplus.web.desk.session import Access
from healthplus.web.languages import LANGUAGES
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser
from tests.web.objects import OBJECTS, make_objects
from tests.web.staff import DOCTOR, SHIFT, goes_to, hidden, log_in, picture, words
from tests.web.test_staff_routes import desk_routes

_CLINIC = {"upi_id": "clinic@okaxis", "name": "A", "address": "B", "city": "Pune", "state": "M", "sure": "1"}
_LEAVE = {"from_day": "2083-03-01", "key": "k"}
_SERVICE = {"provider": "{provider_id}", "name": "X-ray", "fee": "100", "length_minutes": "10", "day_1": "1"}
_TIMES = {**SHIFT, "weekday": "1", "starts": "13:00", "ends": "16:30"}


class Step(NamedTuple):
    """A form that is sent, and what stands in the audit for it.

    `was`: a field that its page has put in; `role`: who sends it.
    """

    route: str
    actions: str
    form: dict[str, str] = {}  # noqa: RUF012 - never changed
    was: str = ""
    role: Role = "administrator"


_TOLD = {"told": "2026-11-01T10:00", "happened": "x"}
_ASK = {"number": "{number}", "booking": "{booking_id}", "reason": "x"}
_ASKED = "see_booking ask_change"
_VISIT = "/desk/{clinic_id}/{day}/visit/{booking_id}"
_MOVE = {"kind": "move", "start": "{start}", "reason": "x"}
_NEW = {"phone": "9876543210", "name": "Meera", "consent": CURRENT.version}
_BOOKED = {"person": "{person_id}", "provider": str(PROVIDER), "start": "{start}", "key": "1"}
_RULES = {"walk_in_every": "4", "walk_in_cap": "9", "overbook_cap": "1"}
_PAID = {"method": "cash", "amount": "100"}
_COUNTED = {"cash_counted": "500", "card_counted": "0", "upi_counted": "0", "note": "x"}
# In an order in which each finds what it changes.
STEPS = [
    Step("/office/{clinic_id}/staff/new", "add_staff set_role make_link", {"log_on": "desk.two", "name": "D"}),
    Step("/office/{clinic_id}/staff/{staff_id}/link", "make_link"),
    Step("/office/{clinic_id}/staff/{staff_id}/disable", "disable", {"sure": "1"}),
    Step("/office/{clinic_id}/staff/{staff_id}/enable", "enable make_link"),
    Step("/office/{clinic_id}/staff/{staff_id}/remove", "set_role"),
    Step(
        "/office/staff/new",
        "add_staff set_role make_link",
        {"log_on": "ward.two", "name": "W", "role": "ward", "clinic": "{clinic_id}"},
    ),
    Step("/office/staff/{staff_id}/role", "set_role make_link", {"role": "desk", "clinic": "{clinic_id}"}),
    Step("/office/staff/{staff_id}/link", "make_link"),
    Step("/office/staff/{staff_id}/disable", "disable", {"sure": "1"}),
    Step("/office/staff/{staff_id}/enable", "enable make_link"),
    Step(f"{_VISIT}/ask", "see_booking send_link", {"kind": "link"}, role="desk"),
    Step(f"{_VISIT}/ask", _ASKED, _MOVE, "seen", role="desk"),
    Step(f"{_VISIT}/change", "see_booking change_booking", _MOVE, "seen"),
    Step("/desk/{clinic_id}/{day}", "undo_attendance", {"provider": str(PROVIDER), "do": "undo {booking_id}"}),
    Step("/desk/{clinic_id}/ask", _ASKED, {**_ASK, "kind": "edit_patient", "name": "Asha"}, role="desk"),
    Step("/office/{clinic_id}/asks/{ask_id}/refuse", "refuse_ask"),
    Step("/desk/{clinic_id}/ask", _ASKED, {**_ASK, "kind": "cancel"}, role="desk"),
    Step("/office/{clinic_id}/asks/{ask_id}/confirm", "confirm_ask"),
    Step("/office/{clinic_id}/refunds/{refund_id}/again", "retry_refund"),
    Step("/office/{clinic_id}/refunds/{refund_id}/paid", "record_transfer", {"reference": "412345678901"}),
    Step("/office/breaches/new", "note_breach", {"known": "2026-11-01T09:00", "happened": "x", "data": "y"}),
    Step("/office/breaches/{breach_id}", "add_to_breach", {**_TOLD, "kind": "board_told"}),
    Step("/office/money/{case_id}/look", "look_at_case"),
    Step("/office/money/{case_id}/close", "close_case", {"note": "x"}),
    Step("/office/system/keys/new", "add_key", {"name": "A", "scope_search": "1", "per_minute": "1", "per_day": "1"}),
    Step("/office/system/keys/{key_id}/revoke", "revoke_key", {"sure": "1"}),
    Step("/office/new", "add_clinic", _CLINIC),
    *(
        Step(f"/office/{{clinic_id}}/{rest}", actions, form, was)
        for rest, actions, form, was in (
            ("provider/new", "add_provider", DOCTOR, ""),
            ("clinic", "change_clinic", _CLINIC, "version"),
            ("week/{provider_id}", "change_shifts", {**SHIFT, "day_1": "1"}, ""),
            ("week/{provider_id}/copy", "change_shifts", {"from_day": "1", "to_day_2": "1"}, ""),
            ("week/{provider_id}/shift/{shift_id}", "change_shifts", _TIMES, "was"),
            ("week/{provider_id}/shift/{shift_id}/end", "change_shifts", {}, "was"),
            ("leave", "add_leave", {**_LEAVE, "who": "{provider_id}"}, ""),
            ("leave/{provider_id}/{leave_id}/remove", "remove_leave", {}, ""),
            ("leave", "see_in_the_way add_leave", {**_LEAVE, "who": "all"}, ""),
            ("holiday/{holiday_id}/remove", "remove_leave", {}, ""),
            ("services", "put_service", _SERVICE, ""),
            ("services/{service_id}/close", "close_service", {"sure": "1"}, ""),
            ("terms", "set_terms", {"service": "", "unit": "percent", "hours_1": "4", "kept_1": "50"}, ""),
            ("no-shows", "set_no_show_rule", {"times": "2", "months": "3"}, "version"),
            ("provider/{provider_id}", "change_provider", {**DOCTOR, "funding": "online"}, "version"),
            ("provider/{provider_id}/photo", "set_photo", {}, ""),
            ("provider/{provider_id}/photo/remove", "remove_photo", {}, ""),
            ("board", "renew_board", {}, ""),
            ("picture", "add_picture", {"photo_text": "The entrance"}, ""),
            ("picture/{picture}", "change_picture", {"text": "The entrance", "place": "1"}, ""),
            ("picture/{picture}/remove", "remove_picture", {}, ""),
            ("provider/{provider_id}/close", "close_provider", {}, ""),
            ("provider/{provider_id}/open", "open_provider", {}, ""),
            ("close", "see_in_the_way close_provider close_clinic", {}, ""),
            ("open", "open_clinic open_provider", {}, ""),
        )
    ),
    Step("/desk/{clinic_id}/people", "add_patient", _NEW, role="desk"),
    Step("/desk/{clinic_id}/book", "book", _BOOKED, role="desk"),
    Step("/office/{clinic_id}/walk-ins", "set_desk_rules", _RULES, was="version"),
    Step("/desk/{clinic_id}/walk-in", "walk_in", {"person": "{other_id}", "provider": "{here}"}, role="desk"),
    Step("/desk/{clinic_id}/overbook", "overbook", {**_BOOKED, "person": "{other_id}", "reason": "x"}),
    Step("/desk/{clinic_id}/till/open", "open_till", {"float": "500"}),
    Step("/desk/{clinic_id}/{day}/visit/{token_id}/pay", "see_booking record_payment", _PAID, was="seen"),
    Step(
        "/desk/{clinic_id}/{day}/visit/{token_id}/return",
        "return_payment",
        {**_PAID, "give": "{payment_id}", "reason": "x"},
        was="seen",
    ),
    Step("/desk/{clinic_id}/{day}/visit/{token_id}/pay-link", "send_pay_link"),
    Step("/desk/{clinic_id}/till/{till_id}/close", "close_till", _COUNTED, was="expected"),
    Step("/desk/{clinic_id}/till/{till_id}/reopen", "reopen_till", {"reason": "x"}),
]
ELSEWHERE = {
    **dict.fromkeys(
        ("add_staff", "make_link", "disable", "enable", "note_breach", "add_to_breach", "look_at_case", "close_case")
    ),
    **dict.fromkeys(("add_key", "revoke_key")),
    "add_clinic": 4,  # the new one
}
"""At which clinic a row is that is not at the one whose page its form was on; None: at none."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, bool]]:
    """The functions of the console that were called, each with whether it was to change something."""
    called: set[tuple[str, bool]] = set()

    def watch(method: str) -> None:
        original = getattr(Console, method)

        async def watched(self: Console, sql: str, *args: object) -> object:
            function = re.search(r"console\.(\w+)\(", sql)
            assert function, sql
            called.add((function[1], method == "change"))
            return await original(self, sql, *args)

        monkeypatch.setattr(Console, method, watched)

    for method in ("fetch", "fetch_row", "fetch_value", "change"):
        watch(method)
    return called


def may_open(role: Role, path: str, access: Access) -> bool:
    """Return whether somebody who is this at AT_CLINIC may open a page; what needs no right is one's to open."""
    right = next((one for one in RIGHTS if one == access), None)
    if right is None:
        return role == "ward"
    clinic_id = AT_CLINIC if "{clinic_id}" in path else None
    return has_right({None if role == "administrator" else AT_CLINIC: role}, right, clinic_id)


_ASKED_FOR = {"/history": {"patient": "1"}}
"""What a page cannot be asked for without, by the end of its path."""
_NOT_HERE = {
    *("/desk/account/passkey", "/desk/{clinic_id}/day", "/desk/own/{clinic_id}"),
    "/desk/{clinic_id}/{day}/visit/{booking_id}/receipt.pdf",
}
"""What is not at the address of these tests, as browsers have no passkeys there; what leads to another page; and the
receipt of an appointment that nobody has paid for."""


async def test_every_page_is_there_in_each_language(
    app: Litestar,
    db: Database,
    environment: Environment,
    called: set[tuple[str, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For the first role that may have it, kept by no browser; and each route keeps to its right."""
    cheap_hashes(monkeypatch)
    browsers = {role: await log_in(app, db, role, AT_CLINIC) for role in ROLES}
    values = {"clinic_id": AT_CLINIC, **await make_objects(db, AT_CLINIC, OBJECTS)}
    wrong: set[str] = set()
    asked = 0
    for name, handler in dict(desk_routes(app)).items():
        method, path = name.split()
        access = handler.opt["access"]
        if method != "GET" or access not in {*RIGHTS, "logged_in"} or path in _NOT_HERE:
            continue
        roles = ROLES if "{till_id}" not in path else ("ward",)  # a till is one's own, or of who manages tills
        browser = next(browsers[role] for role in roles if may_open(role, path, access))
        query = next((query for end, query in _ASKED_FOR.items() if path.endswith(end)), {})
        for language in LANGUAGES:
            called.clear()
            answer = await browser.http.get(language.prefix + path.format(**values), params=query)
            assert answer.status_code == 200, (name, language.code, words(answer)[:500])
            assert answer.headers["cache-control"] == "no-store", name
            is_page = answer.headers["content-type"].startswith("text/html") and not path.endswith("/news")
            assert not is_page or f'<html lang="{language.code}"' in answer.text, (name, language.code)
            wrong |= await misused(db, path, access, called)
            asked += 1
    assert wrong == set()
    assert asked > 50


READS_BESIDE = {(right, "see_clinic") for right in ("ask_change", "add_patient", "book", "change_booking")} | {
    ("change_booking", "book")
}
"""With what other right than its own a route reads; it never changes anything with one."""


async def misused(db: Database, route: str, right: Access, called: set[tuple[str, bool]]) -> set[str]:
    """Return which of the functions that a route has called are for another right than its own."""
    rights = {row[0]: row[1] for row in await db.fetch(_RIGHTS)}
    return {
        f"{route} is for {right}, and calls {function}, for {rights[function]}"
        for function, changes in called
        if rights[function] != right and (changes or (right, rights[function]) not in READS_BESIDE)
    }


_RIGHTS = """
SELECT proname, substring(prosrc FROM 'staff\\.authorise\\(p_token_hash, ''(\\w+)''')
FROM pg_proc WHERE pronamespace = 'console'::regnamespace
"""


_ON_ITS_DAY = {"/desk/{clinic_id}/{day}", "/desk/{clinic_id}/order/{provider_id}"}
"""What is recorded on the day of an appointment, as tests/web/test_day.py does."""
_OF_CALLERS = {"/desk/{clinic_id}/queue", "/desk/{clinic_id}/queue/{ticket_id}"}
"""What is done for callers in a queue, as tests/web/test_phone_queue.py does."""
_OPEN_ASK = "SELECT ask_id FROM staff.ask WHERE booking_id = $1 AND state = 'open'"
_NOTED = "SELECT action, actor, clinic_id, is_refused FROM staff.audit_entry WHERE entry_id > $1 ORDER BY entry_id"


async def test_every_change_leaves_its_row_in_the_audit(
    app: Litestar,
    db: Database,
    environment: Environment,
    called: set[tuple[str, bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One row for each thing that is done, of who did it, at their clinic; and each route keeps to its right."""
    cheap_hashes(monkeypatch)
    browsers = {
        "administrator": await log_in(app, db, "administrator", None, "nair"),
        "desk": await log_in(app, db, "desk", AT_CLINIC, "meera"),
    }
    actors = {"administrator": "staff:1", "desk": "staff:2"}
    booking = await environment.held(AT_CLINIC, 13)
    assert (await environment.book.confirm(PROVIDER, booking, None, environment.actor("asha"))).code == "booked"
    await db.execute(
        "UPDATE accounts.patient SET phone = '+919812345678' WHERE patient_id = $1", environment.ids["asha"]
    )
    values = {"clinic_id": AT_CLINIC, "booking_id": booking, "number": number_of(booking)}
    values = await make_objects(db, AT_CLINIC, OBJECTS) | values
    values["person_id"] = await db.fetch_value("SELECT person_id FROM booking.booking WHERE booking_id = $1", booking)
    values["start"] = environment.at(24 + 13)
    values["other_id"] = await db.fetch_value(
        "SELECT person_id FROM accounts.person WHERE patient_id = $1", environment.ids["chand"]
    )
    await db.execute("SELECT reception.meet($1, $2, public.app_now())", AT_CLINIC, values["other_id"])
    owes = "UPDATE booking.booking SET funding = 'clinic', fee_minor = 30000 WHERE booking_id = $1 RETURNING patient_id"
    reached = "UPDATE accounts.patient SET takes_sms = true, phone = '+919812300321' WHERE patient_id = $1"
    await db.execute(reached, await db.fetch_value(owes, values["token_id"]))
    values["here"] = await db.fetch_value(
        "SELECT provider_id FROM booking.booking WHERE booking_id = $1", values["token_id"]
    )
    paths = ("POST /office", "POST /desk/{clinic_id}")
    changing = {name.removeprefix("POST "): one for name, one in desk_routes(app) if name.startswith(paths)}
    sent = {step.route.replace("token_id}/", "booking_id}/") for step in STEPS}
    unsent = changing.keys() - sent - _ON_ITS_DAY - _OF_CALLERS
    assert unsent == set(), "a form of the office that no step here sends"
    wrong: set[str] = set()
    for step in STEPS:
        if "{ask_id}" in step.route:
            values["ask_id"] = await db.fetch_value(_OPEN_ASK, booking)
        if "{refund_id}" in step.route:
            values |= await make_objects(db, AT_CLINIC, ["refund_id"])
        values["payment_id"] = await db.fetch_value("SELECT payment_id FROM till.payment")
        last = await db.fetch_value("SELECT max(entry_id) FROM staff.audit_entry")
        called.clear()
        await send(browsers[step.role], step, values)
        # What is done for each doctor stands there for each.
        assert [row for row, _ in groupby(map(tuple, await db.fetch(_NOTED, last)))] == [
            (action, actors[step.role], ELSEWHERE.get(action, AT_CLINIC), False) for action in step.actions.split()
        ], step.route
        route = step.route.replace("token_id}/", "booking_id}/")
        wrong |= await misused(db, step.route, changing[route].opt["access"], called)
    assert wrong == set()


async def send(browser: Browser, step: Step, values: dict[str, object]) -> None:
    path = step.route.format(**values)
    form = {name: text.format(**values) for name, text in step.form.items()}
    if path.endswith(("/photo", "/picture")):
        files = {"photo": ("a.png", picture("PNG"), "image/png")}
        assert goes_to(await browser.http.post(path, files=files, data=form))
        return
    page = re.sub("/(end|ask|change|close)$", "", path).replace("/return", "/pay") if step.was else path
    was = {step.was: hidden(await browser.get(page), step.was)} if step.was else {}
    assert goes_to(await browser.post(path, {**form, **was}))
