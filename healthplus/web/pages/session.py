"""The session of the patient who asks for a page, their live claim, and checks of the forms they send."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote, urlsplit
from uuid import UUID

from litestar.datastructures import Cookie

from healthplus.accounts.actors import Patient
from healthplus.accounts.consent import CURRENT
from healthplus.accounts.phone_numbers import masked
from healthplus.country import HERE
from healthplus.database import Record, load
from healthplus.demo import DemoGuide, read_demo_guide
from healthplus.errors import CrossSite, Unauthenticated
from healthplus.settings import Settings
from healthplus.web.http.requests import begin_request
from healthplus.web.languages import split_path
from healthplus.web.pages.addresses import hold_path, ticket_path
from healthplus.web.services import AnyRequest, services

queries = load(Path(__file__).with_name("queries.sql"))

_SESSION_SECONDS = 90 * 86_400
"""As long as the session itself lives (accounts.session_time in the database)."""
_JUST_CHANGED_SECONDS = 2
"""More than pages that many share are kept, as browsers count in whole seconds."""
_NEXT_LENGTH_MAX = 1000
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Site:
    """What pages need to know of how the product is run.

    `https`: cookies are Secure and named __Host-, so that no other host and no plain request can set or see them.
    Only on this machine's own address, without TLS, are they not. `url` is where people find it.
    """

    url: str
    https: bool
    hsts: bool
    shows_codes: bool
    map_tiles: str = ""
    demo_guide: DemoGuide | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        parts = urlsplit(settings.site_url)
        return cls(
            url=settings.site_url,
            https=parts.scheme == "https" or parts.hostname not in _LOOPBACK,
            hsts=parts.scheme == "https",
            shows_codes=settings.sandbox_notices,
            map_tiles=settings.map_tiles or "",
            demo_guide=read_demo_guide(settings.demo_guide) if settings.demo_guide else None,
        )

    def cookie(self, name: str, value: str, seconds: int) -> Cookie:
        return Cookie(
            self._named(name),
            value=value,
            max_age=seconds,
            path="/",
            secure=self.https,
            httponly=True,
            samesite="lax",
        )

    def end_cookie(self, name: str) -> Cookie:
        return self.cookie(name, "", 0)

    def session_cookie(self, token: str) -> Cookie:
        return self.cookie("session", token, _SESSION_SECONDS)

    def read(self, request: AnyRequest, name: str) -> str | None:
        return request.cookies.get(self._named(name)) or None

    def _named(self, name: str) -> str:
        return f"__Host-{name}" if self.https else name


@dataclass(frozen=True)
class Claim:
    """A patient's one live claim: a `hold`, an `offer` to be taken, or a `ticket` that waits.

    `id` is the hold's, or the ticket's, also of an offer. The deadline in `row` is the server's.
    """

    kind: Literal["hold", "offer", "call", "ticket"]
    provider_id: int
    id: UUID
    row: Record

    @property
    def path(self) -> str:
        return (hold_path if self.kind == "hold" else ticket_path)(self.provider_id, self.id)

    def is_of(self, provider_id: int, service_ids: Iterable[int]) -> bool:
        """Return whether it is for just these services of a provider."""
        return self.provider_id == provider_id and {*(self.row["service_ids"] or ())} == {*service_ids}


@dataclass(frozen=True)
class PatientSession:
    """A patient who is signed in; `phone` is masked.

    `language`: that of their messages, None where it is not known. `has_old_consent`: they agreed, but to another text.
    """

    patient_id: int
    token: str
    name: str
    phone: str
    claim: Claim | None
    language: str | None = None
    has_chosen_language: bool = False
    has_old_consent: bool = False

    @property
    def actor(self) -> Patient:
        return Patient(self.patient_id)


def site(request: AnyRequest) -> Site:
    found: Site = request.app.state.site
    return found


def session_of(request: AnyRequest) -> PatientSession | None:
    """Return the session of the patient who asks; None where nobody is signed in."""
    found: PatientSession | None = request.state.get("session")
    return found


def require_patient(request: AnyRequest, back_to: str | None = None) -> PatientSession:
    """Return the session of the patient who asks.

    Raises Unauthenticated where nobody is signed in: they sign in, and come back to `back_to`, by default this page.
    """
    found = session_of(request)
    if found is None:
        raise Unauthenticated(**({"back_to": back_to} if back_to else {}))
    return found


async def begin_page(request: AnyRequest) -> None:
    """Before each page, of patients and of staff: it begins, and what it was sent comes from a page of ours."""
    await begin_open_page(request)
    if request.method != "GET":
        refuse_cross_site(request)


async def begin_open_page(request: AnyRequest) -> None:
    """Before a page that other sites may send forms to, for which nobody's cookies count."""
    await begin_request(request)
    # Before anybody reads it: the database keeps no NUL, and nobody types one. Taking one out may make another.
    query = request.scope["query_string"].replace(b"\0", b"")
    while b"%00" in query:
        query = query.replace(b"%00", b"")
    request.scope["query_string"] = query


async def load_session(request: AnyRequest) -> None:
    """Before each page: refuse forms that another site had sent, and read the session in the cookie."""
    await begin_page(request)
    token = site(request).read(request, "session")
    if token is None:
        return
    app = services(request)
    patient_id = await app.tokens.patient_of(token, afresh=request.method != "GET")
    if patient_id is not None:
        request.state.session = await read_session(request, patient_id, token)


async def read_session(request: AnyRequest, patient_id: int, token: str) -> PatientSession:
    """Return a patient's session as it is now."""
    row = await services(request).database.fetch_row(queries.session, patient_id, CURRENT.version, HERE.time_zone)
    assert row is not None
    claim = Claim(row["kind"], row["provider_id"], row["claim_id"], row) if row["kind"] else None
    return PatientSession(
        patient_id,
        token,
        row["name"],
        masked(row["phone"] or ""),
        claim,
        row["language"],
        row["has_chosen_language"],
        row["has_old_consent"],
    )


def note_sent_form(request: AnyRequest) -> list[Cookie]:
    """Return the cookie by which the next pages are not older than the form that this request sent, if it sent one.

    A cookie, as the next page may be asked of another process.
    """
    if request.method == "GET":
        return []
    return [site(request).cookie("just-changed", "1", _JUST_CHANGED_SECONDS)]


def has_just_changed(request: AnyRequest) -> bool:
    """Return whether the viewer has sent a form a moment ago, which may have changed what this page shows."""
    return site(request).read(request, "just-changed") is not None


def refuse_cross_site(request: AnyRequest) -> None:
    """Raise CrossSite unless a form came from a page of ours.

    Browsers say so in Sec-Fetch-Site; older ones only name the Origin. What sends neither is no browser, so nobody's
    cookies can be abused through it.
    """
    fetch_site = request.headers.get("sec-fetch-site")
    if fetch_site is not None:
        if fetch_site not in ("same-origin", "none"):
            raise CrossSite
        return
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise CrossSite


def local_path(text: object, default: str = "/") -> str:
    """Return a path of this site that came as a parameter, in no language; the default for anything else."""
    if not (isinstance(text, str) and len(text) <= _NEXT_LENGTH_MAX):
        return default
    path = split_path(text)[1]
    # Browsers take // and /\\ for the start of another host's address, and pass over tabs and line ends.
    # Nor may it climb: what begins with one of our folders must end there.
    climbs = any(unquote(part) in (".", "..") for part in path.partition("?")[0].split("/"))
    if re.fullmatch(r"/(?!/)[!-\[\]-~]*", path) and not climbs:
        return path
    return default


async def form_of(request: AnyRequest) -> dict[str, str]:
    """Return a form's fields without NUL, which the database does not keep; of a field that came twice, the last."""
    return {name: str(value).replace("\0", "") for name, value in (await request.form()).multi_items()}


def idempotency_key(form: dict[str, str], *fields: str) -> str:
    """Return the key for the verbs: the same when the same form is sent again with the same `fields`.

    The form's own key is not enough: a patient who goes back, changes a field and sends again means a new request.
    """
    parts = [form.get("key") or secrets.token_urlsafe(16), *(form.get(name, "") for name in fields)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
