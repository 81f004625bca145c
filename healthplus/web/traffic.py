"""The class of every route: which requests are worked on first when more come than can be served.

A page is listed once for all languages. `web/admission.py` says what each class may use. A test compares the list with
the routes there are.
"""

from __future__ import annotations

from typing import NamedTuple

from litestar import Litestar
from litestar.routes import HTTPRoute

from healthplus.web.admission import Traffic
from healthplus.web.http.requests import BODY_BYTES_MAX
from healthplus.web.languages import split_path

_NEVER_REFUSED = """
GET /static/{version}/{name}
GET /favicon.ico
GET /apple-touch-icon.png
GET /robots.txt
GET /push.js
GET /api/v1/live
GET /api/v1/ready
"""

_CLASSES = {
    Traffic.PAY: """
        POST /api/v1/providers/{provider_id}/holds/{hold_id}/payment
        DELETE /api/v1/providers/{provider_id}/holds/{hold_id}
        DELETE /api/v1/providers/{provider_id}/appointments/{appointment_id}
        DELETE /api/v1/providers/{provider_id}/waits/{wait_id}
        POST /api/v1/webhooks/payments
        POST /api/v1/webhooks/payments/{account}
        POST /api/v1/webhooks/sms
        GET /payments/{account}/return
        POST /payments/{account}/return
        GET /doctor/{provider_id}/hold/{hold_id}
        POST /doctor/{provider_id}/hold/{hold_id}
        POST /doctor/{provider_id}/hold/{hold_id}/release
        GET /appointments/{provider_id}/{booking_id}/pay
        POST /appointments/{provider_id}/{booking_id}/pay
        GET /appointments/{provider_id}/{booking_id}/cancel
        POST /appointments/{provider_id}/{booking_id}/cancel
    """,
    Traffic.HOLD: """
        POST /api/v1/providers/{provider_id}/holds
        POST /api/v1/providers/{provider_id}/holds/{hold_id}/move
        POST /api/v1/providers/{provider_id}/appointments/{appointment_id}/move
        POST /api/v1/providers/{provider_id}/waits
        POST /api/v1/providers/{provider_id}/waits/{wait_id}/accept
        POST /api/v1/providers/{provider_id}/waits/{wait_id}/answer
        PUT /api/v1/providers/{provider_id}/holds/{hold_id}/person
        PUT /api/v1/providers/{provider_id}/holds/{hold_id}/reason
        POST /api/v1/codes
        POST /api/v1/codes/{code_id}/verify
        POST /api/v1/codes/desk/verify
        POST /doctor/{provider_id}/{name}/{clinic_id}
        POST /doctor/{provider_id}/{slug}/{clinic_id}/line
        POST /doctor/{provider_id}/wait/{ticket_id}
        POST /appointments/{provider_id}/{booking_id}/move
        POST /busy
        POST /verify
        POST /verify/code
        POST /verify/wait
        POST /verify/desk
        GET /desk
        GET /desk/account
        GET /desk/account/app
        POST /desk/account/app
        POST /desk/account/app/remove
        POST /desk/account/log-out-everywhere
        GET /desk/account/passkey
        POST /desk/account/passkey
        POST /desk/account/passkey/{passkey_id}/remove
        GET /desk/account/password
        POST /desk/account/password
        POST /desk/account/session/{session_id}/end
        POST /desk/lock
        GET /desk/locked
        POST /desk/log-in
        POST /desk/log-in/code
        POST /desk/log-out
        GET /desk/prove
        POST /desk/prove
        POST /desk/seen
        GET /desk/{clinic_id}/ask
        GET /desk/{clinic_id}/day
        GET /desk/{clinic_id}/queue
        GET /desk/{clinic_id}/queue/news
        POST /desk/{clinic_id}/queue
        POST /desk/{clinic_id}/queue/{ticket_id}
        GET /desk/{clinic_id}/overbook
        POST /desk/{clinic_id}/overbook
        GET /desk/{clinic_id}/token/{token_id}
        GET /desk/{clinic_id}/walk-in
        POST /desk/{clinic_id}/walk-in
        GET /desk/{clinic_id}/{day}
        GET /desk/{clinic_id}/{day}/csv
        GET /desk/{clinic_id}/book
        GET /desk/{clinic_id}/people
        POST /desk/{clinic_id}/book
        POST /desk/{clinic_id}/people
        POST /desk/{clinic_id}/{day}
        GET /desk/{clinic_id}/order/{provider_id}
        GET /desk/{clinic_id}/order/{provider_id}/news
        POST /desk/{clinic_id}/order/{provider_id}
        GET /desk/own/{clinic_id}
        GET /desk/own/{clinic_id}/{day}
        GET /desk/own/{clinic_id}/{day}/news
        POST /desk/own/{clinic_id}/{day}
        GET /office/{clinic_id}/board
        POST /office/{clinic_id}/board
        GET /desk/{clinic_id}/{day}/visit/{booking_id}
        GET /desk/{clinic_id}/{day}/visit/{booking_id}/history
        GET /desk/{clinic_id}/{day}/visit/{booking_id}/money
        GET /desk/{clinic_id}/{day}/visit/{booking_id}/receipts
        GET /desk/{clinic_id}/{day}/visit/{booking_id}/receipt.pdf
        POST /desk/{clinic_id}/{day}/visit/{booking_id}/change
        POST /desk/{clinic_id}/{day}/visit/{booking_id}/ask
        GET /desk/{clinic_id}/{day}/visit/{booking_id}/pay
        POST /desk/{clinic_id}/{day}/visit/{booking_id}/pay
        POST /desk/{clinic_id}/{day}/visit/{booking_id}/pay-link
        POST /desk/{clinic_id}/{day}/visit/{booking_id}/return
        GET /desk/{clinic_id}/till
        POST /desk/{clinic_id}/till/open
        GET /desk/{clinic_id}/till/{till_id}
        GET /desk/{clinic_id}/till/{till_id}/csv
        POST /desk/{clinic_id}/till/{till_id}/close
        POST /desk/{clinic_id}/till/{till_id}/reopen
        GET /office/{clinic_id}/tills
        GET /office/{clinic_id}/tills/csv
        POST /desk/{clinic_id}/ask
        GET /office
        GET /office/new
        POST /office/new
        GET /office/{clinic_id}
        GET /office/{clinic_id}/clinic
        POST /office/{clinic_id}/clinic
        POST /office/{clinic_id}/close
        POST /office/{clinic_id}/holiday/{holiday_id}/remove
        GET /office/{clinic_id}/leave
        POST /office/{clinic_id}/leave
        POST /office/{clinic_id}/leave/{provider_id}/{leave_id}/remove
        POST /office/{clinic_id}/open
        GET /office/{clinic_id}/walk-ins
        POST /office/{clinic_id}/walk-ins
        POST /office/{clinic_id}/picture
        POST /office/{clinic_id}/picture/{picture}
        POST /office/{clinic_id}/picture/{picture}/remove
        GET /office/{clinic_id}/provider/new
        POST /office/{clinic_id}/provider/new
        GET /office/{clinic_id}/provider/{provider_id}
        POST /office/{clinic_id}/provider/{provider_id}
        POST /office/{clinic_id}/provider/{provider_id}/close
        POST /office/{clinic_id}/provider/{provider_id}/open
        POST /office/{clinic_id}/provider/{provider_id}/photo
        POST /office/{clinic_id}/provider/{provider_id}/photo/remove
        GET /office/{clinic_id}/services
        POST /office/{clinic_id}/services
        POST /office/{clinic_id}/services/{service_id}/close
        GET /office/{clinic_id}/terms
        GET /office/{clinic_id}/no-shows
        POST /office/{clinic_id}/terms
        POST /office/{clinic_id}/no-shows
        GET /office/{clinic_id}/week/{provider_id}
        POST /office/{clinic_id}/week/{provider_id}
        GET /office/{clinic_id}/week/{provider_id}/copy
        POST /office/{clinic_id}/week/{provider_id}/copy
        GET /office/{clinic_id}/week/{provider_id}/shift/{shift_id}
        POST /office/{clinic_id}/week/{provider_id}/shift/{shift_id}
        POST /office/{clinic_id}/week/{provider_id}/shift/{shift_id}/end
        GET /office/{clinic_id}/asks
        POST /office/{clinic_id}/asks/{ask_id}/confirm
        POST /office/{clinic_id}/asks/{ask_id}/refuse
        GET /office/{clinic_id}/refunds
        POST /office/{clinic_id}/refunds/{refund_id}/again
        POST /office/{clinic_id}/refunds/{refund_id}/paid
        GET /office/{clinic_id}/audit
        GET /office/{clinic_id}/audit/export
        GET /office/{clinic_id}/audit/history
        GET /office/{clinic_id}/staff
        GET /office/{clinic_id}/staff/new
        POST /office/{clinic_id}/staff/new
        POST /office/{clinic_id}/staff/{staff_id}/disable
        POST /office/{clinic_id}/staff/{staff_id}/enable
        POST /office/{clinic_id}/staff/{staff_id}/link
        POST /office/{clinic_id}/staff/{staff_id}/remove
        GET /office/audit
        GET /office/audit/export
        GET /office/audit/history
        GET /office/breaches
        GET /office/breaches/new
        POST /office/breaches/new
        GET /office/breaches/{breach_id}
        POST /office/breaches/{breach_id}
        GET /office/money
        POST /office/money/{case_id}/look
        POST /office/money/{case_id}/close
        GET /office/staff
        GET /office/staff/new
        POST /office/staff/new
        GET /office/staff/{staff_id}
        POST /office/staff/{staff_id}/disable
        POST /office/staff/{staff_id}/enable
        POST /office/staff/{staff_id}/link
        POST /office/staff/{staff_id}/role
        GET /office/system
        GET /office/system/clinics
        GET /office/system/keys
        GET /office/system/keys/new
        POST /office/system/keys/new
        POST /office/system/keys/{key_id}/revoke
    """,
    Traffic.POLL: """
        GET /api/v1/providers/{provider_id}/holds/{hold_id}
        GET /api/v1/providers/{provider_id}/waits/{wait_id}
        GET /api/v1/waits/{wait_id}
        GET /doctor/{provider_id}/wait/{ticket_id}
        GET /desk/{clinic_id}/{day}/news
        GET /board/{clinic_id}/news
        GET /doctor/{provider_id}/wait/{ticket_id}/news
        GET /doctor/{provider_id}/hold/{hold_id}/news
        GET /doctor/{provider_id}/{name}/{clinic_id}/news
    """,
    Traffic.PAGE: """
        GET /api/v1/cities
        GET /api/v1/specialities
        GET /api/v1/lab-tests
        GET /api/v1/clinics/{clinic_id}
        GET /api/v1/providers/{provider_id}
        GET /api/v1/providers/{provider_id}/slots
        GET /api/v1/providers/{provider_id}/appointments/{appointment_id}
        GET /api/v1/providers/{provider_id}/appointments/{appointment_id}/rating
        PUT /api/v1/providers/{provider_id}/appointments/{appointment_id}/rating
        PUT /api/v1/providers/{provider_id}/appointments/{appointment_id}/reason
        GET /api/v1/appointments
        GET /api/v1/waits
        GET /api/v1/consent
        GET /api/v1/me
        PATCH /api/v1/me
        DELETE /api/v1/me
        GET /api/v1/me/persons
        POST /api/v1/me/persons
        GET /api/v1/me/persons/{person_id}
        PATCH /api/v1/me/persons/{person_id}
        DELETE /api/v1/me/persons/{person_id}
        POST /api/v1/me/email/verify
        GET /api/v1/me/consents
        DELETE /api/v1/me/consents
        GET /api/v1/me/notifications
        PUT /api/v1/me/notifications
        PUT /api/v1/providers/{provider_id}/appointments/{appointment_id}/coming
        PUT /api/v1/providers/{provider_id}/appointments/{appointment_id}/earlier
        GET /api/v1/me/export
        GET /api/v1/me/sessions
        DELETE /api/v1/me/sessions
        DELETE /api/v1/me/sessions/{session_id}
        DELETE /api/v1/me/session
        GET /api/v1/openapi.json
        GET /api/v1/openapi.json/openapi.json
        GET /api/v1/openapi.json/{path}
        GET /
        GET /doctor/{provider_id}
        GET /doctor/{provider_id}/{slug}
        GET /doctor/{provider_id}/{name}/{clinic_id}
        GET /doctor/{provider_id}/{name}/{clinic_id}/month
        GET /doctor/{provider_id}/{slug}/{clinic_id}/line
        GET /doctor/{provider_id}/queue/{ticket}
        GET /doctor/{provider_id}/calls/{session_id}
        GET /doctor/{provider_id}/calls/{session_id}/json
        GET /board/{clinic_id}
        GET /photo/{name}
        GET /doctor/{provider_id}/review/{review_id}/report
        POST /doctor/{provider_id}/review/{review_id}/report
        GET /api/v1/providers/{provider_id}/reviews
        PUT /api/v1/providers/{provider_id}/reviews/{review_id}/report
        GET /clinic/{clinic_id}
        GET /clinic/{clinic_id}/{slug}
        GET /busy
        GET /verify
        GET /verify/code
        GET /verify/wait
        GET /verify/desk
        GET /email
        POST /email
        GET /email/verified
        GET /turn
        GET /people
        POST /people
        GET /people/{person_id}
        POST /people/{person_id}
        GET /people/{person_id}/remove
        POST /people/{person_id}/remove
        POST /sign-out
        GET /signed-out
        GET /appointments
        GET /appointments/{provider_id}/{booking_id}
        POST /appointments/{provider_id}/{booking_id}
        GET /appointments/{provider_id}/{booking_id}/move
        GET /appointments/{provider_id}/{booking_id}/money
        GET /appointments/{provider_id}/{booking_id}/receipt
        GET /appointments/{provider_id}/{booking_id}/receipt.pdf
        GET /appointments/{provider_id}/{booking_id}/visit.ics
        POST /appointments/{provider_id}/{booking_id}/coming
        POST /appointments/{provider_id}/{booking_id}/earlier
        GET /a/{code}
        GET /e/{code}
        GET /notifications
        POST /notifications
        POST /notifications/push
        POST /notifications/push/off
        GET /privacy
        GET /privacy/export
        GET /privacy/erase
        POST /privacy/erase
        GET /privacy/erased
        GET /privacy/withdraw
        POST /privacy/withdraw
        GET /privacy/withdrawn
        POST /privacy/agree
        POST /privacy/sign-out-everywhere
        GET /docs
        GET /docs/first-booking
        GET /docs/{name}
        GET /help
        GET /accessibility
        GET /specialities
        GET /speciality/{slug}
        GET /emergency
        GET /manifest.webmanifest
        GET /demo
        GET /desk/log-in
        GET /desk/log-in/code
        GET /desk/switch
        GET /desk/welcome
        POST /desk/welcome
    """,
    Traffic.SEARCH: """
        GET /find
        GET /in/{city}
        GET /in/{city}/{need}
        GET /in/{city}/{need}/{locality}
        GET /sitemap.xml
        GET /sitemap/{part}
        GET /api/v1/doctors
        GET /api/v1/suggest
        GET /api/v1/cities/{slug}/providers
        GET /api/v1/lab-tests/{slug}/providers
    """,
}


def _lines(routes: str) -> list[str]:
    return [line.strip() for line in routes.strip().splitlines()]


LISTED: dict[str, Traffic | None] = {
    **dict.fromkeys(_lines(_NEVER_REFUSED)),
    **{route: traffic for traffic, routes in _CLASSES.items() for route in _lines(routes)},
}
"""The class of each route; None: requests for it are never refused."""


class Treatment(NamedTuple):
    """How requests to a route are treated: their class, if they have one, and how long their bodies may be.

    `route`: how it is listed.
    """

    traffic: Traffic | None
    body_bytes_max: int
    route: str


UNKNOWN_ROUTE = Treatment(Traffic.PAGE, BODY_BYTES_MAX, "unknown address")


def listed_name(path_format: str, method: str) -> str:
    """Return how a route is listed."""
    return f"{method} {split_path(path_format)[1]}"


def treatments(app: Litestar) -> dict[int, Treatment]:
    """Return how the app's requests are treated, by the identity of the handler."""
    found = {}
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            name = listed_name(route.path_format, method)
            # What only says which methods a route takes costs nothing.
            traffic = None if method == "OPTIONS" else LISTED.get(name, Traffic.PAGE)
            found[id(handler)] = Treatment(traffic, handler.resolve_request_max_body_size() or 0, name)
    return found
