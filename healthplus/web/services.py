"""What the handlers of the API and the pages work with; `app.py` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from litestar import Request
from litestar.datastructures import State

from healthplus.accounts.codes import Codes, Requester
from healthplus.accounts.emails import Emails
from healthplus.accounts.keys import KeyUses
from healthplus.accounts.patients import Patients
from healthplus.accounts.persons import Persons
from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import KnownTokens
from healthplus.booking.book import Book
from healthplus.console.logins import Logins
from healthplus.database import Database
from healthplus.directory.currencies import Currencies
from healthplus.directory.known_services import KnownServices
from healthplus.monitoring.readiness import Readiness
from healthplus.notices.earlier import EarlierTimes
from healthplus.notices.preferences import Preferences
from healthplus.payments.payments import Payments
from healthplus.privacy.privacy import Privacy
from healthplus.search.browse import Browse
from healthplus.staff.log_in import LogIn
from healthplus.staff.own_account import OwnAccount
from healthplus.staff.sessions import StaffSessions
from healthplus.waiting.desks import ConnectedDesks
from healthplus.waiting.waiting_users import WaitingUsers
from healthplus.web.clock import DatabaseClock
from healthplus.web.code_messages import CodeMessages
from healthplus.web.http.client_address import TrustedProxies, wider_network
from healthplus.web.kept_days import KeptDays
from healthplus.web.shared_charts import Charts
from healthplus.web.shared_reads import SharedReads

AnyRequest: TypeAlias = Request[Any, Any, State]


@dataclass(frozen=True)
class AppServices:
    """One of each for the life of the process."""

    database: Database
    secret: Secret
    browse: Browse
    book: Book
    charts: Charts
    days: KeptDays
    reads: SharedReads
    sitemap: SharedReads
    waiting: WaitingUsers
    desks: ConnectedDesks
    payments: Payments
    tokens: KnownTokens
    key_uses: KeyUses
    patients: Patients
    persons: Persons
    emails: Emails
    earlier: EarlierTimes
    preferences: Preferences
    privacy: Privacy
    codes: Codes
    staff_sessions: StaffSessions
    logins: Logins
    log_in: LogIn
    own_account: OwnAccount
    code_messages: CodeMessages
    proxies: TrustedProxies
    clock: DatabaseClock
    currencies: Currencies
    known_services: KnownServices
    readiness: Readiness


def services(request: AnyRequest) -> AppServices:
    """Return the app's services: a plain look-up, since dependency injection costs time in every request."""
    found: AppServices = request.app.state.services
    return found


def requester_of(request: AnyRequest, device: str | None) -> Requester:
    """Return where a request comes from, by which sign-in codes are counted; `device` is the token it carries."""
    peer = request.client.host if request.client else ""
    address = services(request).proxies.client(peer, request.headers.getall("x-forwarded-for", []))
    return Requester(address, wider_network(address), device)
