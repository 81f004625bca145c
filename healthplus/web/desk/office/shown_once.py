"""Secrets that are shown once, after their form: in a sealed cookie that ends with the page that shows it."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec
from litestar.datastructures import Cookie

from healthplus.setting_checks import is_loopback
from healthplus.staff.accounts import LINK_PATH
from healthplus.web.pages.sealed_cookies import sealed_cookie, unsealed_cookie
from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest

_COOKIE = "desk-once"
_SECONDS = 120


def log_in_link(request: AnyRequest, token: str) -> str:
    """Return the address of a one-use link, as somebody else opens it."""
    url = site(request).url
    if is_loopback(urlsplit(url).hostname or ""):
        # Browsers have passkeys on this machine's pages at its name alone; the port is the one that this page is at.
        port = re.search(r":\d+$", request.headers.get("host", ""), re.ASCII)
        url = f"http://localhost{port[0] if port else ''}"
    return f"{url}{LINK_PATH}{token}"


class ShownOnce(msgspec.Struct, frozen=True):
    """A link or key, and whose it is; `page` is where it may be shown."""

    page: str
    whose: str
    secret: str


def keep_once(request: AnyRequest, shown: ShownOnce) -> Cookie:
    """Return the cookie that brings a secret to the page that follows."""
    return sealed_cookie(request, _COOKIE, shown, _SECONDS)


def take_once(request: AnyRequest, page: str) -> tuple[ShownOnce | None, list[Cookie]]:
    """Return the secret that a page shows now, if there is one, and the cookie that ends it."""
    shown = unsealed_cookie(request, _COOKIE, ShownOnce)
    if shown is None or shown.page != page:
        return None, []
    return shown, [site(request).end_cookie(_COOKIE)]
