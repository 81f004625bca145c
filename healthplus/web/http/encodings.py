"""In which encodings a client takes an answer."""

from __future__ import annotations

import re

from healthplus.web.services import AnyRequest

_GZIP = re.compile(r"(?:^|,)\s*(?:x-)?gzip\s*(?:;\s*q=(?P<weight>[0-9.]+)\s*)?(?:,|$)", re.IGNORECASE)
_NEVER = re.compile(r"0(?:\.0*)?")


def takes_gzip(request: AnyRequest) -> bool:
    """Return whether an answer may be in gzip's format, by the request's Accept-Encoding (RFC 9110, section 12.5.3)."""
    found = _GZIP.search(request.headers.get("accept-encoding", ""))
    return found is not None and not _NEVER.fullmatch(found["weight"] or "1")
