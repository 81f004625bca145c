"""Browse the directory without a search: lists of what there is, and a page for each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from healthplus.database import Database, Record, load
from healthplus.errors import BadInput, NotFound
from healthplus.search.vocabulary import VOCABULARY, Meaning, normal_words, sendable

queries = load(Path(__file__).with_name("browse.sql"))

COUNT_SECONDS_MAX = 30
"""How old a list with counts may be."""

_CITY_SECONDS = 300
"""How old what a city or a speciality has may be."""
_PARTS_MAX = 24
"""The most parts of a city that its page names."""

Document: TypeAlias = dict[str, Any]
_T = TypeVar("_T")


class CachedCount(Generic[_T]):
    """A value that is slow to count, for all requests: at most `seconds_max` old, counted again after half of that.

    Counting a directory of 500,000 providers takes a second, which only the first request should have to wait.
    """

    def __init__(self, count: Callable[[], Awaitable[_T]], seconds_max: float = COUNT_SECONDS_MAX) -> None:
        self._count = count
        self._seconds_max = seconds_max
        self._counted_at = float("-inf")
        self._value: _T
        self._renewal: asyncio.Task[None] | None = None

    async def get(self) -> _T:
        """Return the value; raises what counting raised, once the last good value is too old."""
        age = time.monotonic() - self._counted_at
        if age > self._seconds_max / 2 and self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())
            # A request that needs the value awaits it; without one, a failure is tried again and need not be reported.
            self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        if age > self._seconds_max:
            assert self._renewal is not None
            await asyncio.shield(self._renewal)
        return self._value

    async def _renew(self) -> None:
        try:
            began = time.monotonic()
            self._value = await self._count()
            self._counted_at = began
        finally:
            self._renewal = None


class Browse:
    """Reads what anyone may see of the directory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.cities = self._list(queries.cities)
        """Cities that have providers, by name, with how many of each type."""
        self.specialities = self._list(queries.specialities)
        """All specialities, by name, with how many providers have each."""
        self.lab_tests = self._list(queries.lab_tests)
        """The catalogue of laboratory tests, by name, with how many providers offer each."""
        self._cities: dict[int, CachedCount[Record | None]] = {}
        self._specialities: dict[str, CachedCount[list[Record]]] = {}

    def _list(self, query: str) -> CachedCount[list[Record]]:
        return CachedCount(lambda: self._database.fetch(query))

    async def city_contents(self, city_id: int) -> Record:
        """Return what there is in a city: `types`, `specialities` and `parts`, with how many providers each."""

        async def read() -> Record | None:
            return await self._database.fetch_row(queries.city_contents, city_id, _PARTS_MAX)

        found = await self._cities.setdefault(city_id, CachedCount(read, _CITY_SECONDS)).get()
        assert found is not None
        return found

    async def speciality_named(self, text: str) -> Record | None:
        """Return the speciality with this slug, or the one that these words mean and nothing else does; else None."""
        phrase = " ".join(await normal_words(self._database, text))
        meaning = VOCABULARY.phrases.get(phrase, Meaning())
        slugs = {sendable(text), phrase.replace(" ", "-")} | (set() if meaning.is_symptom else meaning.specialities)
        found = {row["slug"]: row for row in await self._database.fetch(queries.specialities_named, sorted(slugs))}
        return found.get(text) or (next(iter(found.values())) if len(found) == 1 else None)

    async def speciality_cities(self, slug: str) -> list[Record]:
        """Return the cities where providers have a known speciality, those with most first."""

        async def read() -> list[Record]:
            return await self._database.fetch(queries.speciality_cities, slug)

        return await self._specialities.setdefault(slug, CachedCount(read, _CITY_SECONDS)).get()

    async def city_id(self, slug: str) -> int | None:
        """Return the id of the city with this slug, or None."""
        city_id: int | None = await self._database.fetch_value(queries.city_id, sendable(slug))
        return city_id

    async def clinic(
        self, clinic_id: int, limit: int, offset: int, speciality: str | None = None
    ) -> tuple[Document, list[Document]]:
        """Return a clinic's page and at most `limit` of its providers after the first `offset`. Raises NotFound.

        With the slug of a `speciality`, only providers who have it.
        """
        clinic = await self._database.fetch_value(queries.clinic, clinic_id)
        if clinic is None:
            raise NotFound("There is no such clinic; the page of a provider names those where they work.")
        rows = await self._database.fetch(queries.clinic_providers, clinic_id, limit, offset, speciality)
        return clinic, [row["document"] for row in rows]

    async def own_provider(self, clinic_id: int) -> int | None:
        """Return the provider that a clinic is itself, as a hospital is; None where there is none, or more than one."""
        provider_id: int | None = await self._database.fetch_value(queries.own_provider, clinic_id)
        return provider_id

    async def clinic_specialities(self, clinic_id: int) -> list[Record]:
        """Return the specialities at a clinic with how many `providers` have each, and how many are there in all."""
        return await self._database.fetch(queries.clinic_specialities, clinic_id)

    async def provider(self, provider_id: int, *, is_spread: bool = False) -> Document:
        """Return a provider's page, with the next three times free at each clinic at this moment. Raises NotFound.

        With `is_spread`, the times are spread over the first day that has any; `that_day` is how many it has.
        """
        provider: Document | None = await self._database.fetch_value(queries.provider, provider_id, is_spread)
        if provider is None:
            raise NotFound("There is no such provider; search for one.")
        return provider

    async def lab_test_providers(
        self, test_slug: str, city_slug: str, limit: int, offset: int
    ) -> tuple[Record, list[Document]]:
        """Return a test and its providers in a city, cheapest first. Raises NotFound, or BadInput about the city."""
        lab_test = await self._database.fetch_row(queries.lab_test, test_slug)
        if lab_test is None:
            raise NotFound("There is no such test; GET /api/v1/lab-tests lists them.")
        city_id = await self.city_id(city_slug)
        if city_id is None:
            raise BadInput(f"city: there is no city {city_slug!r}; GET /api/v1/cities lists them.")
        async with self._database.transaction() as tx:
            await tx.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            rows = await tx.fetch(queries.lab_test_providers, lab_test["service_type_id"], city_id, limit, offset)
        return lab_test, [row["document"] for row in rows]
