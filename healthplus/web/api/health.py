"""Whether the process lives, and whether it can take bookings."""

from __future__ import annotations

from pathlib import Path

from litestar import Controller, get
from msgspec import Struct

import healthplus.database
from healthplus.errors import DatabaseError
from healthplus.web.api.problems import PROBLEMS
from healthplus.web.api.slots import queries
from healthplus.web.services import AnyRequest, services

_MIGRATIONS = len(list((Path(healthplus.database.__file__).parent / "migrations").glob("*.sql")))


class Health(Struct):
    """How the process is."""

    status: str


class HealthController(Controller):
    tags = ("Health",)

    @get("/live")
    async def live(self) -> Health:
        """Answer while the process lives."""
        return Health("live")

    @get("/ready", responses={503: PROBLEMS[503]})
    async def ready(self, request: AnyRequest) -> Health:
        """Answer 200 when bookings can be made: the database answers, and has every migration this version needs."""
        if await services(request).database.fetch_value(queries.migrated_to) < _MIGRATIONS:
            raise DatabaseError("The database lacks migrations; run `healthplus migrate`.")
        return Health("ready")
