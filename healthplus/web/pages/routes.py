"""The routes of the pages: each page once in every language."""

from __future__ import annotations

from litestar import Router
from litestar.config.compression import CompressionConfig
from litestar.middleware import DefineMiddleware
from litestar.middleware.compression import CompressionMiddleware

from healthplus.settings import Settings
from healthplus.web.http.requests import StrictRequest
from healthplus.web.languages import LANGUAGES
from healthplus.web.pages.appointments import AppointmentsController
from healthplus.web.pages.board import BoardController
from healthplus.web.pages.calls import CallsController
from healthplus.web.pages.chart import ChartController
from healthplus.web.pages.chart_month import ChartMonthController
from healthplus.web.pages.claimed import ClaimedController
from healthplus.web.pages.demo import DemoController
from healthplus.web.pages.directory import DirectoryController
from healthplus.web.pages.docs import DocsController
from healthplus.web.pages.earlier import EarlierTimesController
from healthplus.web.pages.email import EmailController
from healthplus.web.pages.emergency import EmergencyController
from healthplus.web.pages.find import FindController
from healthplus.web.pages.hold import HoldController
from healthplus.web.pages.home import HomeController
from healthplus.web.pages.information import InformationController
from healthplus.web.pages.manifest import ManifestController
from healthplus.web.pages.money import MoneyController
from healthplus.web.pages.notifications import NotificationsController
from healthplus.web.pages.paying import PayingController
from healthplus.web.pages.payment_return import PaymentReturnController
from healthplus.web.pages.people import PeopleController
from healthplus.web.pages.privacy import PrivacyController
from healthplus.web.pages.queue import JoinQueueController, TicketController, TurnController
from healthplus.web.pages.queue_receipt import QueueReceiptController
from healthplus.web.pages.receipts import ReceiptsController
from healthplus.web.pages.reviews import ReportController
from healthplus.web.pages.session import begin_open_page, load_session
from healthplus.web.pages.sign_in import SignInController
from healthplus.web.pages.specialities import SpecialitiesController

_CONTROLLERS = (
    HomeController,
    FindController,
    ChartController,
    ChartMonthController,
    HoldController,
    ClaimedController,
    JoinQueueController,
    TicketController,
    TurnController,
    BoardController,
    CallsController,
    QueueReceiptController,
    ReceiptsController,
    DirectoryController,
    ReportController,
    SignInController,
    AppointmentsController,
    MoneyController,
    PayingController,
    NotificationsController,
    EarlierTimesController,
    PrivacyController,
    PeopleController,
    EmailController,
    DocsController,
    InformationController,
    SpecialitiesController,
    EmergencyController,
    ManifestController,
)
COMPRESSION = DefineMiddleware(CompressionMiddleware, config=CompressionConfig("gzip", gzip_compress_level=6))


def page_routers(settings: Settings) -> list[Router]:
    controllers = [*_CONTROLLERS, *((DemoController,) if settings.sandbox_notices else ())]
    return [
        Router(
            language.url("/"),
            route_handlers=handlers,
            before_request=begin,
            middleware=[COMPRESSION],
            request_class=StrictRequest,
            include_in_schema=False,
        )
        for language in LANGUAGES
        for handlers, begin in ((controllers, load_session), ([PaymentReturnController], begin_open_page))
    ]
