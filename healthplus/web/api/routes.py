"""Which controllers make up the API."""

from __future__ import annotations

from litestar import Router
from litestar.datastructures import ResponseHeader

from healthplus.web.api.appointments import AppointmentsController
from healthplus.web.api.directory import DirectoryController
from healthplus.web.api.doctors import CityProvidersController, DoctorsController
from healthplus.web.api.health import HealthController
from healthplus.web.api.holds import HoldsController
from healthplus.web.api.me import MeController
from healthplus.web.api.notifications import NotificationsController
from healthplus.web.api.persons import PersonsController
from healthplus.web.api.ratings import RatingsController, ReviewsController
from healthplus.web.api.sign_in import SignInController
from healthplus.web.api.slots import SlotsController
from healthplus.web.api.suggest import SuggestController
from healthplus.web.api.waits import MyWaitsController, WaitsController
from healthplus.web.api.webhooks import WebhooksController
from healthplus.web.http.requests import StrictRequest

_PATH = "/api/v1"


def api_routers() -> list[Router]:
    """Return the API's routers: one for answers that depend on who asks, one for answers that caches may share."""
    private = Router(
        _PATH,
        route_handlers=[
            DoctorsController,
            CityProvidersController,
            SuggestController,
            SlotsController,
            HoldsController,
            AppointmentsController,
            RatingsController,
            ReviewsController,
            WaitsController,
            MyWaitsController,
            SignInController,
            MeController,
            NotificationsController,
            PersonsController,
            WebhooksController,
            HealthController,
        ],
        request_class=StrictRequest,
        response_headers=[
            ResponseHeader(name="Cache-Control", value="private, no-cache"),
            ResponseHeader(name="Vary", value="Authorization"),
        ],
    )
    shared = Router(_PATH, route_handlers=[DirectoryController], request_class=StrictRequest)
    return [private, shared]
