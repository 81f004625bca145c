"""What each guard of the plain case of a hold for services keeps away, and that without the guard it gets through."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from healthplus.accounts.actors import Patient
from tests.fixtures.directory import close_service, make_service
from tests.fixtures.plain import Guard, a_place, code_of
from tests.fixtures.races import Provider, RaceEnvironment

PLACE, GRID = "booking.plain_place", "booking.is_on_grid"


async def hold(race: RaceEnvironment, provider: Provider, patient: int, service: int, start: int = 0) -> str | None:
    return await code_of(
        race,
        "SELECT code FROM booking.hold_plainly($1, $2, $3, 1, $4, $5, NULL, $6, NULL, NULL)",
        provider.provider_id,
        provider.clinic_id,
        provider.starts[start],
        [service],
        patient,
        str(Patient(patient)),
    )


async def hold_one(race: RaceEnvironment, *, start: int = 0, is_closed: bool = False, **more: Any) -> str | None:
    provider, patient = await a_place(race)
    service = await make_service(race.db, provider.provider_id, 5, (100, "clinic"), **more)
    if is_closed:
        await close_service(race.db, service)
    return await hold(race, provider, patient, service, start)


async def hold_one_of_another(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    other, _ = await a_place(race)
    return await hold(race, provider, patient, await make_service(race.db, other.provider_id, 5, (100, "clinic")))


async def hold_on_another_day(race: RaceEnvironment) -> str | None:
    provider, patient = await a_place(race)
    day = (provider.opens_at.isoweekday() + 2) % 7 + 1
    service = await make_service(race.db, provider.provider_id, 5, (100, "clinic"), weekdays=[day])
    return await hold(race, provider, patient, service)


GUARDS = {
    "its starts": Guard(partial(hold_one, start=1, starts_every=2), GRID, "(p_need).starts_every", "1", "reserved"),
    "its days": Guard(
        hold_on_another_day, GRID, "directory.is_weekday_of((p_need).weekdays, p_weekday)", "true", "reserved"
    ),
    "open": Guard(
        partial(hold_one, is_closed=True), PLACE, "p_service_ids, false)", "p_service_ids, true)", "reserved"
    ),
    "the provider's": Guard(
        hold_one_of_another,
        "directory.chosen_services",
        "AND service.provider_id = p_provider_id",
        "",
        "reserved",
        beside=[
            ("booking.need_of_services", "provider_id = p_provider_id AND ", ""),
            ("directory.chosen_services", "p_is_held OR service_id IN", "true OR service_id IN"),
        ],
    ),
}


@pytest.mark.breaks_invariants  # a booking for another provider's service
@pytest.mark.parametrize("name", GUARDS)
async def test_without_its_guard_it_gets_through(race: RaceEnvironment, name: str) -> None:
    await GUARDS[name].show(race)
