"""Whether a request has changed anything yet: what goes wrong after that must not be told as "nothing was changed"."""

from __future__ import annotations

from contextvars import ContextVar

_has_changed: ContextVar[bool] = ContextVar("has_changed", default=False)


def forget_changes() -> None:
    """Begin a request: nothing was changed by it yet."""
    _has_changed.set(False)


def note_change() -> None:
    """Note that the request under way has changed something, here or at the payment gateway."""
    _has_changed.set(True)


def has_changed() -> bool:
    return _has_changed.get()
