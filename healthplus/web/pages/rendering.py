"""Renders pages from templates: one Jinja environment a language, and the headers that all pages have."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import jinja2
import msgspec
from litestar import MediaType, Response
from litestar.datastructures import Cookie
from litestar.response import Stream
from markupsafe import Markup

from healthplus.accounts.consent import CURRENT
from healthplus.booking.book import CLIENT_MARGIN
from healthplus.database import Record
from healthplus.payments.payments import Money
from healthplus.web.assets import asset_url
from healthplus.web.http.payment_words import payment_label, payment_words, unanswered_words
from healthplus.web.languages import ENGLISH, HINDI, LANGUAGES, Language, split_path
from healthplus.web.pages import structured_data
from healthplus.web.pages.addresses import (
    about_path,
    about_path_at,
    appointment_path,
    call_url,
    calls_path,
    chart_path,
    clinic_path,
    directions_url,
    hold_path,
    provider_path,
    queue_receipt_path,
    report_path,
    results_path,
    slug,
    speciality_path,
    ticket_path,
)
from healthplus.web.pages.engine import COMPILED, Environment
from healthplus.web.pages.session import note_sent_form, session_of, site
from healthplus.web.services import AnyRequest, services

_FOLDER = Path(__file__).parents[1] / "templates"
# Read once: the account that the process goes on under may not be able to.
_TEMPLATES = {str(path.relative_to(_FOLDER)): path.read_text("utf-8") for path in _FOLDER.rglob("*.html")}

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; "
    "worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    # Not no-store: going back must find the form that was sent, with the key that it was sent with.
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(self), microphone=(), payment=(), usb=()",
    # An address says which doctor a patient sees, and when.
    "Referrer-Policy": "same-origin",
    "Vary": "Cookie",
    "X-Content-Type-Options": "nosniff",
}

_DOCUMENT_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Vary": "Cookie",
    "X-Content-Type-Options": "nosniff",
}


MADE_FOR_NOBODY = "made_for_nobody"
"""In the state of a request whose page is for all: it has holes where pages show what is a viewer's own."""
HOLE = f"\N{OBJECT REPLACEMENT CHARACTER}{secrets.token_hex(16)}:%s;"
"""What stands for a hole, by the template that fills it. Nothing that anybody typed can be taken for one."""


def _environment(language: Language, *, has_holes: bool = False) -> Environment:
    return Environment(
        _TEMPLATES,
        language,
        other_language=HINDI if language is ENGLISH else ENGLISH,
        asset=asset_url,
        new_key=_new_key,
        personal=_hole if has_holes else _personal,
        client_margin=CLIENT_MARGIN,
        current_consent=CURRENT,
        about_path=about_path,
        about_path_at=about_path_at,
        call_url=call_url,
        calls_path=calls_path,
        directions_url=directions_url,
        provider_path=provider_path,
        report_path=report_path,
        clinic_path=clinic_path,
        chart_path=chart_path,
        hold_path=hold_path,
        appointment_path=appointment_path,
        results_path=results_path,
        speciality_path=speciality_path,
        slug=slug,
        structured=structured_data,
        all_languages=LANGUAGES,
        queue_receipt_path=queue_receipt_path,
        ticket_path=ticket_path,
        payment_words=partial(_payment_words, language),
        payment_label=partial(payment_label, language),
        unanswered_words=partial(unanswered_words, language),
    )


def _payment_words(language: Language, row: Record) -> str:
    payment = Money.of(row)
    return payment_words(language, payment) if payment else ""


def _new_key() -> str:
    return secrets.token_urlsafe(16)


@jinja2.pass_context
def _personal(context: jinja2.runtime.Context, template: str) -> Markup:
    """Return a template of what is the viewer's own."""
    # With the page's own context: one more would cost more than most of these templates.
    return Markup("".join(context.environment.get_template(template).root_render_func(context)))  # noqa: S704 - it escapes


def _hole(template: str) -> Markup:
    return Markup(HOLE % template)  # noqa: S704 - nothing in it is to be escaped


_ENVIRONMENTS = {language.code: _environment(language) for language in LANGUAGES}
_ENVIRONMENTS_WITH_HOLES = {language.code: _environment(language, has_holes=True) for language in LANGUAGES}


def compile_templates() -> None:
    """Compile all templates: about a second, which the first requests of each process would wait otherwise."""
    COMPILED.read()
    for environment in (*_ENVIRONMENTS.values(), *_ENVIRONMENTS_WITH_HOLES.values()):
        for name in _TEMPLATES:
            environment.get_template(name)
    COMPILED.write()


_SHEETS = {
    **dict.fromkeys(("home", "find", "found"), "find.css"),
    "directory": "directory.css",
    "chart": "chart.css",
    "docs": "docs.css",
    **dict.fromkeys(("hold", "claimed", "appointments", "queue", "people", "notifications", "privacy"), "own.css"),
}
"""The style sheet of each folder of templates whose pages have one of their own."""


def language_of(request: AnyRequest) -> Language:
    return split_path(request.url.path)[0]


def page(
    request: AnyRequest,
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    cookies: Sequence[Cookie] = (),
    **values: object,
) -> Response[str]:
    """Return a page in the language of its address; `headers` win over those that all pages have."""
    return Response(
        fragment(request, template, sheet=_SHEETS.get(template.partition("/")[0], "app.css"), **values),
        status_code=status,
        media_type=MediaType.HTML,
        headers={**_HEADERS, **_transport_security(request), **(headers or {})},
        cookies=[*cookies, *(note_sent_form(request) if status < 500 else [])],
    )


def document(
    request: AnyRequest,
    body: bytes,
    media_type: str = MediaType.JSON,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """Return what is no page, such as a calendar file; it is not to be stored unless `headers` say otherwise."""
    return Response(
        body,
        status_code=status,
        media_type=media_type,
        headers={**_DOCUMENT_HEADERS, **_transport_security(request), **(headers or {})},
    )


def streamed(
    request: AnyRequest, parts: AsyncIterator[bytes], media_type: str, *, headers: Mapping[str, str]
) -> Stream:
    """Return a document that is made while it is sent, part by part."""
    all_headers = {**_DOCUMENT_HEADERS, **_transport_security(request), **headers}
    return Stream(parts, media_type=media_type, headers=all_headers)


def policy_of_map(request: AnyRequest) -> dict[str, str]:
    """Return the header of a page with a map, whose tiles come from elsewhere; none where maps have no tiles."""
    if not (tiles := site(request).map_tiles):
        return {}
    host = f"https://{urlsplit(tiles).netloc}"
    policy = CONTENT_SECURITY_POLICY.replace("img-src 'self'", f"img-src 'self' {host}")
    return {"Content-Security-Policy": policy}


def bank_headers(request: AnyRequest) -> dict[str, str]:
    """Return a policy that lets the form lead to the bank's page, where its answer may redirect."""
    pages = " ".join(services(request).payments.gateways.pages)
    policy = CONTENT_SECURITY_POLICY.replace("form-action 'self'", f"form-action 'self' {pages}".rstrip())
    return {"Content-Security-Policy": policy}


def updates_response(request: AnyRequest, update: object | None, *, status: int = 200) -> Response[bytes]:
    """Return the answer to a script that waits for updates of its page; None: there is none."""
    if update is None:
        return document(request, b"", status=204)
    return document(request, msgspec.json.encode(update), status=status)


def fragment(request: AnyRequest, template: str, **values: object) -> str:
    """Return a template, of a page or of a part of one, rendered in the language of the request's address."""
    return fragments(request, [template], **values)[0]


def fragments(request: AnyRequest, templates: Sequence[str], **values: object) -> list[str]:
    """Return several templates, rendered with the same values."""
    language, path = split_path(request.url.path)
    path = f"/{path.lstrip('/')}"  # after two, a link to the page in another language would lead to another host
    if query := request.url.query:
        path += f"?{query}"
    values |= {
        "path": path,
        "site": site(request),
        "is_elsewhere": request.cookies.get("elsewhere") == "1",
        "now": services(request).clock.now() if "services" in request.app.state else None,
    }
    if MADE_FOR_NOBODY in request.scope["state"]:
        environment = _ENVIRONMENTS_WITH_HOLES[language.code]
    else:
        # A page for all has no session, not even none: a template that looks at it outside of a hole must fail.
        environment = _ENVIRONMENTS[language.code]
        values["session"] = session_of(request)
    found = [environment.get_template(template) for template in templates]
    if not found:
        return []
    context = found[0].new_context({**environment.globals, **values}, shared=True)
    return ["".join(template.root_render_func(context)) for template in found]


def see_other(
    request: AnyRequest,
    path: str,
    query: Mapping[str, object] | None = None,
    cookies: Sequence[Cookie] = (),
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """Redirect to be read with GET, as after each form that succeeded; `path` is the page's address in English."""
    return _redirect(request, 303, path, query, cookies, headers)


def moved(request: AnyRequest, path: str) -> Response[str]:
    """Redirect permanently to a page's present address, with the request's own query."""
    return _redirect(request, 301, f"{path}?{request.url.query}" if request.url.query else path)


def _redirect(
    request: AnyRequest,
    status: int,
    path: str,
    query: Mapping[str, object] | None = None,
    cookies: Sequence[Cookie] = (),
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    location = language_of(request).url(path)
    if query:
        location += f"{'&' if '?' in location else '?'}{urlencode(query, doseq=True)}"
    return Response(
        "",
        status_code=status,
        headers={**_HEADERS, **_transport_security(request), "Location": location, **(headers or {})},
        cookies=[*cookies, *note_sent_form(request)],
    )


def _transport_security(request: AnyRequest) -> dict[str, str]:
    return {"Strict-Transport-Security": "max-age=31536000"} if site(request).hsts else {}
