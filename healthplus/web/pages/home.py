from __future__ import annotations

import asyncio
import time
from typing import NamedTuple
from weakref import WeakKeyDictionary

from litestar import Controller, Response, get

from healthplus.database import Database, Record
from healthplus.web.languages import Language
from healthplus.web.pages.rendering import language_of, page
from healthplus.web.pages.session import queries, session_of
from healthplus.web.services import AnyRequest, services

_CITIES_MAX = 40
_SPECIALITIES_MAX = 60
_KEEP_SECONDS = 60.0


class _Directory(NamedTuple):
    at: float
    cities: list[Record]
    specialities: list[Record]


_kept: WeakKeyDictionary[Database, asyncio.Task[_Directory]] = WeakKeyDictionary()


class HomeController(Controller):
    @get("/")
    async def home(self, request: AnyRequest) -> Response[str]:
        app = services(request)
        session = session_of(request)
        directory = await _directory(app.database)
        language = language_of(request)
        return page(
            request,
            "home/home.html",
            cities=_by_name(language, "city", directory.cities),
            specialities=_by_name(language, "speciality", directory.specialities),
            appointments=await app.privacy.booked_ahead(session.patient_id) if session else [],
        )


async def _directory(database: Database) -> _Directory:
    """Return what is shown of the directory, at most a minute old: it is the same for everybody and changes rarely."""
    kept = _kept.get(database)
    if kept is None or (kept.done() and not _is_fresh(kept)):
        kept = _kept[database] = asyncio.create_task(_read(database))
    # Shielded: a client that hangs up must not cancel the read that others wait for.
    return await asyncio.shield(kept)


def _is_fresh(kept: asyncio.Task[_Directory]) -> bool:
    if kept.cancelled() or kept.exception() is not None:
        return False
    return time.monotonic() <= kept.result().at + _KEEP_SECONDS


async def _read(database: Database) -> _Directory:
    return _Directory(
        time.monotonic(),
        await database.fetch(queries.cities, _CITIES_MAX),
        await database.fetch(queries.specialities, _SPECIALITIES_MAX),
    )


def _by_name(language: Language, kind: str, rows: list[Record]) -> list[Record]:
    return sorted(rows, key=lambda row: language.known_name(kind, row["name"]))
