"""Services by their ids, each read once: a service is closed, and never changed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from healthplus.database import Database, Record, load
from healthplus.directory.weekdays import has_day

queries = load(Path(__file__).with_name("known_services.sql"))

SERVICES_MAX = 50
"""How many go into one visit at most, as directory.chosen_services has it."""
_KNOWN_MAX = 20_000


class Service(NamedTuple):
    """What a provider offers, at one clinic or (`clinic_id` None) at each of its own, and how long a visit for it is.

    `is_test`: of a laboratory. A test's `length_minutes` are what it adds to a visit. `weekdays`: a bit each, Monday's
    the lowest. `fee_minor`: in the smallest unit of the currency.
    """

    service_id: int
    provider_id: int
    clinic_id: int | None
    service_type_id: int
    slug: str
    name: str
    is_test: bool
    length_minutes: int
    weekdays: int
    fee_minor: int
    currency: str
    funding: str

    def is_on(self, weekday: int) -> bool:
        """Return whether it is done on a day of the week; Monday is 1."""
        return has_day(self.weekdays, weekday)


class KnownServices:
    """The services that this process has read. Whether one is closed by now is not known here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[int, Service] = OrderedDict()

    async def find(self, service_ids: Iterable[int]) -> dict[int, Service]:
        """Return services by id, without those that there are not."""
        found, missing = {}, []
        for service_id in service_ids:
            if (known := self._known.get(service_id)) is None:
                missing.append(service_id)
            else:
                self._known.move_to_end(service_id)
                found[service_id] = known
        if missing:
            for row in await self._database.fetch(queries.by_id, missing):
                found[row["service_id"]] = self._known[row["service_id"]] = Service(*row)
            while len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
        return found

    async def of(self, service_ids: Sequence[int] | None) -> list[Service]:
        """Return what a booking or ticket is for, by name; nothing where it is for a visit of some slots."""
        if not service_ids:
            return []
        found = await self.find(service_ids)
        return sorted(found.values(), key=lambda one: (one.name.casefold(), one.service_id))

    async def preparations(self, service_ids: Iterable[int]) -> dict[int, str]:
        """Return what a patient has to do before services, where there is anything, as it is now."""
        ids = list(service_ids)
        rows = await self._database.fetch(queries.preparations, ids) if ids else []
        return {row["service_id"]: row["preparation"] for row in rows}

    async def offered(
        self, provider_id: int, clinic_id: int | None, ids: Sequence[int], slugs: Sequence[str]
    ) -> list[Record]:
        """Return what a provider offers of these services at each of its clinics, or only at one.

        Each row has `clinic_id`, `service_id` and `slug`; the clinic is where it is offered, also where it is at all.
        """
        return await self._database.fetch(queries.offered, provider_id, clinic_id, ids, slugs)

    async def refusal(self, provider_id: int, clinic_id: int | None, service_ids: Sequence[int]) -> str | None:
        """Return why services cannot be booked together at a clinic, as a verb says it; None: they can."""
        reason: str | None = await self._database.fetch_value(queries.refusal, provider_id, clinic_id, service_ids)
        return reason
