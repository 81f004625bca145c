"""Names as they stand in URLs."""

from __future__ import annotations

import hashlib
import re
import unicodedata


def slug(text: str) -> str:
    """Return the ASCII name used in URLs, or a digest where nothing of the text is Latin."""
    latin = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", latin).strip("-") or hashlib.sha256(text.encode()).hexdigest()[:12]


def service_slug(text: str) -> str:
    """Return the slug of a service of this name. It is never all digits: that would be a service's id."""
    name = slug(text)
    return f"service-{name}" if name.isdecimal() else name
