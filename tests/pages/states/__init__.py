"""Every page, and every state that it can be in: its name, and how to get there. A module an area.

The tests look at each with axe-core; `make screenshots` writes a picture of each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from pkgutil import iter_modules

from tests.pages.window import BrowserWindow

Reach = Callable[[BrowserWindow], Awaitable[None]]

STATES: dict[str, Reach] = {}


def state(name: str) -> Callable[[Reach], Reach]:
    """Register how to reach a state from a new window."""

    def register(reach: Reach) -> Reach:
        assert name not in STATES
        STATES[name] = reach
        return reach

    return register


for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
