"""The composition root: everything a process works with is made here, once, and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

from litestar import Litestar, Router
from litestar.datastructures import ResponseHeader, State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from healthplus.accounts.codes import Codes
from healthplus.accounts.patients import Patients
from healthplus.accounts.secret import Secret, with_secret_key
from healthplus.accounts.sessions import KnownTokens
from healthplus.booking.active_reservations import ActiveReservations
from healthplus.booking.book import CLIENT_MARGIN, Book
from healthplus.database import Database, Hints
from healthplus.errors import DatabaseUnreachable
from healthplus.notices.notices import Notices
from healthplus.notices.sender import open_senders
from healthplus.payments.gateway import Gateway, NoGateway
from healthplus.payments.gateways.sandbox import SandboxGateway
from healthplus.payments.gateways.sandbox_process import bank_url
from healthplus.payments.payments import Payments
from healthplus.search.browse import Browse
from healthplus.search.word_counts import WordLearning
from healthplus.settings import Settings
from healthplus.waiting.waiting_users import DRAIN_SIGNAL, WaitingUsers
from healthplus.web.api.appointments import AppointmentsController
from healthplus.web.api.common import ApiRequest
from healthplus.web.api.directory import DirectoryController
from healthplus.web.api.doctors import CityProvidersController, DoctorsController
from healthplus.web.api.health import HealthController
from healthplus.web.api.holds import HoldsController
from healthplus.web.api.keys import SECURITY_SCHEMES, tell_quotas
from healthplus.web.api.me import MeController
from healthplus.web.api.ratings import RatingsController
from healthplus.web.api.sign_in import SignInController
from healthplus.web.api.slots import SlotsController
from healthplus.web.api.suggest import SuggestController
from healthplus.web.api.waits import MyWaitsController, WaitsController
from healthplus.web.api.webhooks import WebhooksController
from healthplus.web.assets import asset
from healthplus.web.clock import DatabaseClock
from healthplus.web.code_messages import CodeMessages
from healthplus.web.http.client_address import TrustedProxies
from healthplus.web.pages.errors import render
from healthplus.web.pages.routes import page_routers
from healthplus.web.pages.session import Site
from healthplus.web.services import Services
from healthplus.web.shared_charts import Charts

logger = logging.getLogger(__name__)

BODY_BYTES_MAX = 16 * 1024
_RESTART_SECONDS = 1.0
_GARBAGE_MAX = 50_000  # objects before a collection


def create_app(settings: Settings | None = None) -> Litestar:
    """Give the ASGI app of one process; `settings`, by default the environment's, must name a migrated database."""
    settings = settings or Settings.from_environment()

    @contextlib.asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with _running_services(settings) as services:
            app.state.services = services
            # What has been made so far stays: no collection need walk it again. Little of a request is left in cycles.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_GARBAGE_MAX)
            yield

    api = Router(
        "/api/v1",
        route_handlers=[
            DoctorsController,
            CityProvidersController,
            SuggestController,
            SlotsController,
            HoldsController,
            AppointmentsController,
            RatingsController,
            WaitsController,
            MyWaitsController,
            SignInController,
            MeController,
            WebhooksController,
            HealthController,
        ],
        request_class=ApiRequest,
        request_max_body_size=BODY_BYTES_MAX,
        response_headers=[
            ResponseHeader(name="Cache-Control", value="private, no-cache"),
            ResponseHeader(name="Vary", value="Authorization"),
        ],
    )
    # Apart from those above, whose answers depend on who asks: these may lie in caches that many share.
    public_api = Router("/api/v1", route_handlers=[DirectoryController], request_class=ApiRequest)
    return Litestar(
        route_handlers=[api, public_api, asset, *page_routers(settings)],
        lifespan=[lifespan],
        state=State({"site": Site.of(settings)}),
        exception_handlers={Exception: render},
        before_send=[tell_quotas],
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="HealthPlus",
            version="1",
            description="Doctor and lab appointments that are never double-booked, in order of arrival.",
            # Not a folder: Litestar answers with a page of its own for whatever is not found below.
            path="/api/v1/openapi.json",
            # The renderers that show pages load their scripts from elsewhere.
            render_plugins=[JsonRenderPlugin(path="/")],
            components=Components(
                security_schemes={"token": SecurityScheme(type="http", scheme="bearer"), **SECURITY_SCHEMES}
            ),
        ),
    )


@contextlib.asynccontextmanager
async def _running_services(settings: Settings) -> AsyncIterator[Services]:
    """Connect, and run the background tasks for the block; then let calls under way finish, and disconnect."""
    if settings.database_url is None:
        raise DatabaseUnreachable("DATABASE_URL is not set; `healthplus serve` sets it.")
    async with contextlib.AsyncExitStack() as stack:
        gateway: Gateway = NoGateway()
        if settings.sandbox_payments:
            sandbox = SandboxGateway(bank_url(settings), settings.payment_webhook_secret)
            gateway = await stack.enter_async_context(sandbox)
        database = await stack.enter_async_context(
            await Database.connect(settings.database_url, settings.pool_size_min, settings.pool_size_max)
        )
        senders = await stack.enter_async_context(open_senders(settings, database))
        notices = Notices(database, senders, settings.site_url, CLIENT_MARGIN)
        hints = Hints(settings.database_url)
        tokens = KnownTokens(database)
        secret = Secret(with_secret_key(settings).secret_key or "")
        codes = Codes(database, secret, settings)
        code_messages = CodeMessages(senders.sms, settings.public_url)
        book = Book(database, hints.tell)
        waiting = WaitingUsers(database, book)
        charts = Charts(database, book)
        hints.on_hint(waiting.heard)
        hints.on_hint(charts.on_change)
        payments = Payments(database, book, gateway)
        clock = DatabaseClock(database)
        await clock.follow()
        runs = (
            ActiveReservations(database, book).run,
            waiting.run,
            charts.run,
            hints.run,
            payments.captures.run,
            payments.learning.run,
            notices.run,
            codes.run,
            clock.run,
            WordLearning(database).run,
        )
        await stack.enter_async_context(_background(runs))
        stack.push_async_callback(code_messages.drain)
        stack.enter_context(_on_drain(waiting.drain, charts.drain))
        yield Services(
            database=database,
            browse=Browse(database),
            book=book,
            charts=charts,
            waiting=waiting,
            payments=payments,
            tokens=tokens,
            clock=clock,
            patients=Patients(database, secret, tokens),
            codes=codes,
            code_messages=code_messages,
            proxies=TrustedProxies(settings.trusted_proxies),
        )


@contextlib.asynccontextmanager
async def _background(runs: Iterable[Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(_keep_running(run)) for run in runs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _on_drain(*drains: Callable[[], None]) -> Iterator[None]:
    """Have long polls answered when this process is about to be told to end, which waits for requests under way."""
    loop = asyncio.get_running_loop()

    def drain() -> None:
        for one in drains:
            one()

    loop.add_signal_handler(DRAIN_SIGNAL, drain)
    try:
        yield
    finally:
        loop.remove_signal_handler(DRAIN_SIGNAL)


async def _keep_running(run: Callable[[], Awaitable[None]]) -> None:
    # These tasks end only by a fault of ours, which must not take the promptness of the rest of the day with it.
    while True:
        try:
            await run()
        except Exception:
            logger.exception("a background task failed; starting it again")
        await asyncio.sleep(_RESTART_SECONDS)
