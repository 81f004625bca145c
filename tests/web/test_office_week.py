"""The office's week of a doctor: shifts that are copied, split and ended keep all of what they are."""

from __future__ import annotations

from datetime import timedelta

import pytest
from litestar import Litestar

from healthplus.database import Database
from tests.fixtures.clock import move_clock_to, product_now
from tests.fixtures.directory import make_provider
from tests.fixtures.environment import Environment
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Browser
from tests.web.staff import CLINIC, DOCTOR, OFFICE, SHIFT, WEEK, goes_to, hidden, log_in, shift_of, words


async def test_shifts_are_copied_to_days_and_to_doctors(ward: Browser, administrator: Browser, db: Database) -> None:
    path = goes_to(await administrator.post(f"{OFFICE}/provider/new", DOCTOR)).partition("?")[0]
    new_id = int(path.rpartition("/")[2])
    week = f"{OFFICE}/week/{new_id}"
    assert goes_to(await ward.post(week, {**SHIFT, "day_1": "1"}))
    copied = await ward.post(f"{week}/copy", {"from_day": "1", "to_day_2": "1", "to_day_5": "1"})
    assert goes_to(copied).startswith(f"{week}?done=copied")
    days = "SELECT array_agg(weekday ORDER BY weekday) FROM schedule.shift WHERE provider_id = $1"
    assert await db.fetch_value(days, new_id) == [1, 2, 5]
    other = goes_to(await administrator.post(f"{OFFICE}/provider/new", {**DOCTOR, "name": "Dr B"})).partition("?")[0]
    other_id = int(other.rpartition("/")[2])
    assert goes_to(await ward.post(f"{week}/copy", {"from_day": "0", f"to_{other_id}": "1"}))
    assert await db.fetch_value(days, other_id) == [1, 2, 5]
    # Those that are there stay, and what is missing is added.
    await db.execute("DELETE FROM schedule.shift WHERE provider_id = $1 AND weekday = 2", other_id)
    assert goes_to(await ward.post(f"{week}/copy", {"from_day": "0", f"to_{other_id}": "1"}))
    assert await db.fetch_value(days, other_id) == [1, 2, 5]
    # Where another shift is in the way, nothing is added, and it is said for whom.
    await db.execute("UPDATE schedule.shift SET slot_minutes = 20 WHERE provider_id = $1 AND weekday = 2", other_id)
    answer = await ward.post(f"{week}/copy", {"from_day": "0", f"to_{other_id}": "1"})
    assert answer.status_code == 422
    assert "This overlaps another shift of theirs" in words(answer)
    await db.execute("SELECT booking.refresh_next_free($1, public.app_now())", other_id)


_NOT_DEFAULT = {"slot_minutes": 20, "seats": 3, "slots_max": 4, "release_hours": 5}
_SHIFTS = """
SELECT weekday, starts::text, ends::text, slot_minutes, seats, slots_max, release_hours,
    lower(valid)::text AS first, upper(valid)::text AS until
FROM schedule.shift WHERE provider_id = $1 AND clinic_id = $2 ORDER BY weekday, valid
"""


async def test_splitting_ending_and_copying_a_shift_keep_all_of_it(ward: Browser, db: Database) -> None:
    one, other = await make_provider(db, {CLINIC: (0, "free")}), await make_provider(db, {CLINIC: (0, "free")})
    week = f"{OFFICE}/week/{one}"
    form = {**SHIFT, **{name: str(value) for name, value in _NOT_DEFAULT.items()}, "week": "2083-01-04"}
    valid = {"valid_from": "2083-01-04", "valid_until": "2083-12-26"}
    assert goes_to(await ward.post(week, {**form, **valid, "day_1": "1"}))
    whole = {"weekday": 1, "starts": "05:00:00", "ends": "08:00:00", **_NOT_DEFAULT, "first": "2083-01-04"}
    whole["until"] = "2083-12-27"

    async def shifts(provider_id: int) -> list[dict[str, object]]:
        return [dict(row) for row in await db.fetch(_SHIFTS, provider_id, CLINIC)]

    assert await shifts(one) == [whole]
    # A day to other days of theirs, and to another doctor's, in one go.
    copies = {"week": "2083-01-04", "from_day": "1", "to_day_3": "1", f"to_{other}": "1"}
    assert goes_to(await ward.post(f"{week}/copy", copies)).startswith(f"{week}?done=copied")
    assert await shifts(one) == [whole, {**whole, "weekday": 3}]
    assert await shifts(other) == [whole]
    # Days to copy to, and none to copy from: nothing is dropped in silence.
    answer = await ward.post(f"{week}/copy", {**copies, "from_day": "0"})
    assert answer.status_code == 422
    assert "Choose which day to copy to other days." in words(answer)
    path = f"{week}/shift/" + str(
        await db.fetch_value("SELECT min(shift_id) FROM schedule.shift WHERE provider_id = $1", one)
    )
    assert "the desk first, everybody from 5 hours before" in words(await ward.get(path))
    split = {**form, **valid, "weekday": "1", "seats": "5", "since": "2083-06-07"}
    assert goes_to(await ward.post(path, {**split, "was": hidden(await ward.get(path), "was")}))
    first = {**whole, "until": "2083-06-07"}
    assert (await shifts(one))[:2] == [first, {**whole, "seats": 5, "first": "2083-06-07"}]
    ended = {"last_day": "2083-02-28", "was": hidden(await ward.get(path), "was")}
    assert goes_to(await ward.post(f"{path}/end", ended))
    assert (await shifts(one))[0] == {**first, "until": "2083-03-01"}


async def test_a_last_day_that_is_past_is_refused(ward: Browser, db: Database) -> None:
    path = f"{WEEK}/shift/{await shift_of(db, 1)}"
    was = hidden(await ward.get(path), "was")
    form = {**SHIFT, "weekday": "1", "day_1": "1", "was": was, "valid_until": "2020-01-31"}
    for to in (WEEK, path):
        answer = await ward.post(to, form)
        assert answer.status_code == 422, to
        assert "This day is past." in words(answer)
    answer = await ward.post(f"{path}/end", {"was": was, "last_day": "2020-01-31"})
    assert answer.status_code == 422
    assert 'value="2020-01-31"' in answer.text


async def test_a_shift_up_to_midnight_is_shown_so_and_one_past_it_is_told_how(ward: Browser, db: Database) -> None:
    week = f"{OFFICE}/week/{await make_provider(db, {CLINIC: (0, 'free')})}"
    answer = await ward.post(week, {**SHIFT, "day_1": "1", "starts": "22:00", "ends": "02:00"})
    assert "Past midnight, add two shifts: one to 00:00, one from 00:00 on." in words(answer)
    assert goes_to(await ward.post(week, {**SHIFT, "day_1": "1", "starts": "22:00", "ends": "00:00"}))
    shift_id = await db.fetch_value("SELECT max(shift_id) FROM schedule.shift WHERE starts = '22:00'")
    page = await ward.get(f"{week}/shift/{shift_id}")
    assert 'name="ends" type="time" value="00:00"' in page.text
    assert "22:00–24:00" in words(page)


async def test_the_week_that_is_copied_begins_by_the_clinics_clock(
    app: Litestar, db: Database, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half past two on a Monday in India is Sunday evening in UTC.
    now = await product_now(db)
    sunday = (now + timedelta(days=(6 - now.weekday()) % 7 or 7)).replace(hour=21, minute=0)
    await move_clock_to(db, sunday)
    await app.state.services.clock.follow()
    cheap_hashes(monkeypatch)
    ward = await log_in(app, db, "ward", CLINIC)
    monday = f"{sunday + timedelta(days=1):%Y-%m-%d}"
    assert hidden(await ward.get(WEEK), "week") == hidden(await ward.get(f"{WEEK}/copy"), "week") == monday


@pytest.mark.parametrize(
    "form",
    [
        {"starts": "25:00"}, {"starts": "", "ends": ""}, {"starts": "08:00", "ends": "05:00"}, {"slot_minutes": "4"},
        {"slot_minutes": "1" * 30}, {"seats": "-1"}, {"slots_max": "x"}, {"valid_from": "9999-99-99"},
        {"valid_from": "2083-02-02", "valid_until": "2083-02-01"}, {"slot_minutes": "240"},
        {"release_hours": "721"}, {"release_hours": "-1"}, {"release_hours": "soon"},
    ],
)  # fmt: skip
async def test_bad_shifts_are_refused_and_kept(ward: Browser, db: Database, form: dict[str, str]) -> None:
    answer = await ward.post(WEEK, {**SHIFT, "day_1": "1", **form})
    assert answer.status_code == 422
    assert "Please fix this" in words(answer)
    assert await db.fetch_value("SELECT count(*) FROM schedule.shift WHERE slot_minutes <> 30") == 0
