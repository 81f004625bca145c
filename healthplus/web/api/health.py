"""Whether the process lives, and whether bookings can be made."""

from __future__ import annotations

from litestar import Controller, get
from msgspec import Struct

from healthplus.errors import Draining, NotReady
from healthplus.web.api.problems import PROBLEMS
from healthplus.web.services import AnyRequest, services


class Health(Struct):
    """How the process is."""

    status: str


class HealthController(Controller):
    tags = ("Health",)

    @get("/live", responses={503: PROBLEMS[503]})
    async def live(self, request: AnyRequest) -> Health:
        """Answer 200 while the process takes requests, 503 once it is about to end: for a balancer.

        The database is not asked: without it, all machines would be taken away at once, with what they can still show.
        """
        if services(request).waiting.draining:
            raise Draining
        return Health("live")

    @get("/ready", responses={503: PROBLEMS[503]})
    async def ready(self, request: AnyRequest) -> Health:
        """Answer 200 when bookings can be made, else 503 with the reasons: for people, and for deploys to wait for."""
        if reasons := await services(request).readiness.reasons():
            raise NotReady(" ".join(reasons))
        return Health("ready")
