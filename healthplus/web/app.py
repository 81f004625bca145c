"""The composition root: what a process works with is made here, once, and nowhere else."""

from __future__ import annotations

import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from litestar import Litestar, Response
from litestar.datastructures import State

from healthplus.accounts.codes import Codes
from healthplus.accounts.emails import Emails
from healthplus.accounts.keys import KeyUses
from healthplus.accounts.patients import Patients
from healthplus.accounts.persons import Persons
from healthplus.accounts.secret import Secret, with_secret_key
from healthplus.accounts.sessions import KnownTokens
from healthplus.booking.active_reservations import ActiveReservations
from healthplus.booking.book import CLIENT_MARGIN, Book
from healthplus.booking.replacements import keep_cancelling_replaced
from healthplus.console.logins import Logins
from healthplus.database import BACKGROUND, REQUESTS, ChangeFeed, Database, FreeSpace
from healthplus.directory.currencies import Currencies
from healthplus.directory.known_services import KnownServices
from healthplus.errors import DatabaseUnreachable
from healthplus.lifeline import end_with_parent
from healthplus.monitoring import readiness
from healthplus.monitoring.readiness import DatabaseChecks, Readiness
from healthplus.monitoring.reporter import Reporter
from healthplus.monitoring.sentry import open_sentry
from healthplus.notices.delays import Delays
from healthplus.notices.earlier import EarlierTimes
from healthplus.notices.notices import Notices
from healthplus.notices.preferences import Preferences
from healthplus.notices.reminders import Reminders
from healthplus.notices.senders import open_senders
from healthplus.notices.texts import Wording
from healthplus.payment_keys import account_keys
from healthplus.payments.accounts import Gateways
from healthplus.payments.gateways.sandbox import SandboxGateway
from healthplus.payments.gateways.sandbox_process import bank_url
from healthplus.payments.payments import Payments
from healthplus.privacy.privacy import Privacy
from healthplus.receipts.receipts import Receipts
from healthplus.refusals import refused
from healthplus.retention.retention import Retention
from healthplus.search.browse import Browse
from healthplus.search.word_counts import WordCounter
from healthplus.settings import Settings
from healthplus.staff.audit_chain import AuditChain
from healthplus.staff.log_in import LogIn
from healthplus.staff.own_account import OwnAccount
from healthplus.staff.passwords import Passwords
from healthplus.staff.sessions import StaffSessions
from healthplus.waiting.desks import ConnectedDesks
from healthplus.waiting.waiting_users import DRAIN_SIGNAL, WaitingUsers
from healthplus.web.admission import Admission
from healthplus.web.api.openapi import openapi_config
from healthplus.web.api.routes import api_routers
from healthplus.web.assets import asset, picture_by_name, service_worker
from healthplus.web.background import answer_on_drain, run_in_background
from healthplus.web.clock import DatabaseClock
from healthplus.web.code_messages import CodeMessages
from healthplus.web.desk import errors as desk_errors
from healthplus.web.desk.routes import desk_routers
from healthplus.web.entrance import Entrance
from healthplus.web.http.client_address import TrustedProxies
from healthplus.web.http.requests import BODY_BYTES_MAX, begin_request
from healthplus.web.kept_days import KeptDays
from healthplus.web.pages import errors
from healthplus.web.pages.routes import page_routers
from healthplus.web.pages.session import Site
from healthplus.web.photos import photo_file
from healthplus.web.services import AnyRequest, AppServices
from healthplus.web.shared_charts import Charts
from healthplus.web.shared_reads import SharedReads
from healthplus.web.sitemap import kept_parts, robots, sitemap, sitemap_part

_GARBAGE_MAX = 50_000  # objects before a collection
_BACKGROUND_POOL_SIZE = 3


def create_routes(settings: Settings) -> Litestar:
    """Return an app that has all its routes, which take long to make, and nothing yet that they work with."""
    return Litestar(
        route_handlers=[
            *api_routers(),
            asset,
            photo_file,
            picture_by_name,
            service_worker,
            robots,
            sitemap,
            sitemap_part,
            *page_routers(settings),
            *desk_routers(),
        ],
        lifespan=[_lifespan],
        exception_handlers={Exception: _render_error},
        before_request=begin_request,
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
        openapi_config=openapi_config(),
    )


def _render_error(request: AnyRequest, error: Exception) -> Response[Any]:
    """Answer what no router did, such as an address that there is not, to patients or to staff."""
    if desk_errors.is_of_desk(request):
        return desk_errors.render(request, error)
    return errors.render(request, error)


def furnish(app: Litestar, settings: Settings) -> Litestar:
    """Give an app that has only its routes what they work with; return it. `settings` must name a migrated database."""
    admission = Admission()
    app.state = State({"site": Site.of(settings), "settings": settings, "admission": admission})
    app.asgi_handler = Entrance(app, admission, settings.slow_request_ms / 1000)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    async with _running_services(app.state.settings, app.state.admission) as services:
        app.state.services = services
        # What exists now lives as long as the process: no collection needs to look at it. Later collections
        # may be rare, as a request leaves few reference cycles.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE_MAX)
        yield


@contextlib.asynccontextmanager
async def _running_services(settings: Settings, admission: Admission) -> AsyncIterator[AppServices]:
    """Connect, and run the background tasks while the block runs; then let calls under way finish, and disconnect."""
    end_with_parent(DRAIN_SIGNAL, signal.SIGTERM)
    if settings.database_url is None:
        raise DatabaseUnreachable("DATABASE_URL is not set; `healthplus serve` sets it.")
    async with contextlib.AsyncExitStack() as stack:
        database, background, ready_database = await _open_pools(stack, settings, settings.database_url)
        gateways = await _open_gateways(stack, settings, background)
        senders = await stack.enter_async_context(open_senders(settings, database))
        wording = Wording(settings.site_url, CLIENT_MARGIN, takes_replies=settings.sms_reply_secret is not None)
        change_feed = ChangeFeed(settings.database_url)
        tokens = KnownTokens(database)
        key = with_secret_key(settings).secret_key or ""
        secret = Secret(key)
        logins = await Logins.find(database, settings.database_url, key, settings.staff_pool_size_max)
        stack.push_async_callback(logins.close)
        patients = Patients(database, secret, tokens)
        code_messages = CodeMessages(senders.sms, settings.public_url, senders.email, settings.site_url)
        book = Book(database, change_feed.publish, tokens)
        waiting, charts, days = _watchers(database, book, change_feed)
        desks = ConnectedDesks(database, book)
        payments = Payments(database, book, gateways, background)
        notices = Notices(background, senders, wording, payments.unanswered)
        pools = {"requests": database, "background": background, **logins.own()}
        reporter = Reporter(background, pools, (admission.sample, waiting.sample), open_sentry(settings.sentry_dsn))
        await stack.enter_async_context(reporter.listening())
        passwords = Passwords()
        await (clock := DatabaseClock(background)).follow()
        runs = (
            *_housekeeping(background, Book(background, change_feed.publish)),
            *(waiting.run, desks.run, charts.run, days.run, change_feed.run, notices.run, clock.run),
            *(admission.run, refused.run),
            *payments.tasks(),
            *(reporter.run, reporter.run_samples),
        )
        await stack.enter_async_context(run_in_background(runs))
        stack.push_async_callback(code_messages.drain)
        stack.enter_context(answer_on_drain(waiting.drain, charts.drain, days.drain))
        yield AppServices(
            database=database,
            secret=secret,
            browse=Browse(database),
            book=book,
            charts=charts,
            days=days,
            reads=SharedReads(),
            sitemap=kept_parts(),
            waiting=waiting,
            desks=desks,
            payments=payments,
            tokens=tokens,
            key_uses=KeyUses(database),
            clock=clock,
            patients=patients,
            persons=Persons(database, secret),
            emails=Emails(database, secret),
            earlier=EarlierTimes(database),
            preferences=Preferences(database, senders, settings.sms_reply_secret),
            privacy=Privacy(database, book, patients, tokens),
            codes=Codes(database, secret, settings),
            staff_sessions=StaffSessions(database),
            logins=logins,
            log_in=LogIn(database, secret, passwords),
            own_account=OwnAccount(database, secret, passwords),
            code_messages=code_messages,
            proxies=TrustedProxies(settings.trusted_proxies),
            currencies=Currencies(database),
            known_services=KnownServices(database),
            readiness=_readiness(settings, ready_database, database),
        )


def _watchers(database: Database, book: Book, change_feed: ChangeFeed) -> tuple[WaitingUsers, Charts, KeptDays]:
    """Return what waits for changes of books for pages that are open."""
    waiting, charts, days = WaitingUsers(database, book), Charts(database, book), KeptDays(database)
    for one in (waiting, charts, days):
        change_feed.on_change(one.on_change)
    return waiting, charts, days


def _housekeeping(background: Database, book: Book) -> tuple[Callable[[], Awaitable[None]], ...]:
    """Return the background tasks that nobody waits for, and that need no more than the database."""
    return (
        ActiveReservations(background, book).run,
        partial(keep_cancelling_replaced, background, book),
        Reminders(background).run,
        Delays(background).run,
        EarlierTimes(background).run,
        Retention(background).run,
        AuditChain(background).run,
        Receipts(background).run,
        WordCounter(background).run,
    )


def _readiness(settings: Settings, ready_database: Database, database: Database) -> Readiness:
    checks = DatabaseChecks(ready_database, allow_unsafe_commits=settings.allow_unsafe_commits)
    return Readiness([*checks.all(), partial(readiness.has_room, database)])


async def _open_gateways(stack: contextlib.AsyncExitStack, settings: Settings, database: Database) -> Gateways:
    sandbox = None
    if settings.sandbox_payments:
        sandbox = await stack.enter_async_context(SandboxGateway(bank_url(settings), settings.payment_webhook_secret))
    return await Gateways.open(stack, database, account_keys(settings.payment_keys), sandbox)


async def _open_pools(
    stack: contextlib.AsyncExitStack, settings: Settings, dsn: str
) -> tuple[Database, Database, Database]:
    """Open the pool of requests, that of background tasks, and the one connection of `/ready`, until `stack` ends."""
    database = await stack.enter_async_context(
        await Database.connect(dsn, settings.pool_size_min, settings.pool_size_max, REQUESTS)
    )
    # A rush of requests must not keep holds from expiring and money from being moved, nor these a request.
    background = await stack.enter_async_context(
        await Database.connect(dsn, 1, _BACKGROUND_POOL_SIZE, BACKGROUND, "healthplus background")
    )
    ready = await stack.enter_async_context(await Database.connect(dsn, 1, 1, readiness.LIMITS, "healthplus ready"))
    database.space = background.space = FreeSpace.of(settings)
    database.slow_seconds = background.slow_seconds = settings.slow_request_ms / 1000
    return database, background, ready
