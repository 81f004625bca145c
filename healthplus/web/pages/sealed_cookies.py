"""Cookies in which a browser keeps something for us, and can change nothing."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from litestar.datastructures import Cookie

from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest, services

_T = TypeVar("_T")
_LENGTH_MAX = 4000


def sealed_cookie(request: AnyRequest, name: str, value: object, seconds: int) -> Cookie:
    """Return a cookie that holds a value of any type that JSON can express, for so many seconds."""
    sealed = services(request).secret.seal(f"cookie {name}", msgspec.json.encode(value))
    return site(request).cookie(name, sealed, seconds)


def unsealed_cookie(request: AnyRequest, name: str, kind: type[_T]) -> _T | None:
    """Return the value of a cookie that `sealed_cookie` made; None where there is none, or another's."""
    text = site(request).read(request, name)
    if text is None or len(text) > _LENGTH_MAX:
        return None
    content = services(request).secret.unseal(f"cookie {name}", text)
    try:
        return None if content is None else msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError:  # of another release
        return None
