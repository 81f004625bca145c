"""Cookies in which a browser keeps something for us, and can change nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

import msgspec
from litestar.datastructures import Cookie

from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest, services

_T = TypeVar("_T")
_LENGTH_MAX = 4000


class _Kept(NamedTuple):
    """A value, and until when it counts: a browser may keep a cookie for longer than it was told to."""

    until: datetime
    value: msgspec.Raw


def sealed_cookie(request: AnyRequest, name: str, value: object, seconds: int) -> Cookie:
    """Return a cookie that holds a value of any type that JSON can express, for so many seconds."""
    until = services(request).clock.now() + timedelta(seconds=seconds)
    kept = msgspec.json.encode(_Kept(until, msgspec.Raw(msgspec.json.encode(value))))
    sealed = services(request).secret.seal(f"cookie {name}", kept)
    return site(request).cookie(name, sealed, seconds)


def unsealed_cookie(request: AnyRequest, name: str, kind: type[_T]) -> _T | None:
    """Return the value of a cookie that `sealed_cookie` made; None for none, another's, or one whose time is over."""
    text = site(request).read(request, name)
    if text is None or len(text) > _LENGTH_MAX:
        return None
    content = services(request).secret.unseal(f"cookie {name}", text)
    try:
        kept = None if content is None else msgspec.json.decode(content, type=_Kept)
        if kept is None or kept.until <= services(request).clock.now():
            return None
        return msgspec.json.decode(kept.value, type=kind)
    except msgspec.DecodeError:  # of another release
        return None
