"""The routes of the desk: each page once in every language, and for each whom it is for."""

from __future__ import annotations

from litestar import Response, Router

from healthplus.errors import LogInNeeded, ProofDue, ScreenLocked
from healthplus.web.desk import errors
from healthplus.web.desk.account import AccountController, DeskController
from healthplus.web.desk.day.book import BookController
from healthplus.web.desk.day.changes import ChangeController
from healthplus.web.desk.day.day import DayController
from healthplus.web.desk.day.money import DeskMoneyController
from healthplus.web.desk.day.order import OrderController
from healthplus.web.desk.day.own import OwnDayController
from healthplus.web.desk.day.payments import PaymentController
from healthplus.web.desk.day.people import PeopleController
from healthplus.web.desk.day.phone_queue import PhoneQueueController
from healthplus.web.desk.day.receipts import DeskReceiptController
from healthplus.web.desk.day.tills import TillController
from healthplus.web.desk.day.walk_ins import WalkInController
from healthplus.web.desk.log_in import LogInController
from healthplus.web.desk.office.routes import OFFICE
from healthplus.web.desk.session import desk_path_of, end_cookie, enter_desk
from healthplus.web.http.requests import StrictRequest
from healthplus.web.languages import LANGUAGES
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.routes import COMPRESSION
from healthplus.web.services import AnyRequest

_PAGES: dict[type[Exception], str] = {
    LogInNeeded: "/desk/log-in",
    ScreenLocked: "/desk/locked",
    ProofDue: "/desk/prove",
}
DAY = (
    *(DayController, OrderController, OwnDayController, ChangeController),
    *(DeskReceiptController, DeskMoneyController),
    *(PeopleController, BookController, WalkInController, PhoneQueueController),
    *(PaymentController, TillController),
)
"""What a clinic's desk does on the day."""


def desk_routers() -> list[Router]:
    return [
        Router(
            language.url("/"),
            route_handlers=[DeskController, AccountController, LogInController, *DAY, *OFFICE],
            before_request=enter_desk,
            exception_handlers={
                LogInNeeded: _show_who,
                ScreenLocked: _show_who,
                ProofDue: _show_who,
                Exception: errors.render,
            },
            middleware=[COMPRESSION],
            request_class=StrictRequest,
            include_in_schema=False,
        )
        for language in LANGUAGES
    ]


def _show_who(request: AnyRequest, error: LogInNeeded | ScreenLocked | ProofDue) -> Response[str]:
    """Lead to where one shows who one is, and from there back: to the same page, or to the one that a form was on."""
    back_to = error.members.get("back_to")
    if back_to is None and request.method == "GET":
        back_to = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    cookies = [end_cookie(request)] if isinstance(error, LogInNeeded) else []
    return see_other(request, _PAGES[type(error)], {"next": desk_path_of(back_to)}, cookies)
