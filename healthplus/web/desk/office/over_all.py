"""A change of every provider of a clinic, over what is in the way: a holiday, or closing the clinic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeAlias

from healthplus.console.console import queries
from healthplus.database import Range
from healthplus.web.desk.office.forms import Form
from healthplus.web.desk.office.frame import ask, moves_of, note_refusal, seen_at
from healthplus.web.services import AnyRequest

_ROWS_SHOWN = 100

ChangeOne: TypeAlias = Callable[[int, datetime | None, dict[str, str]], Awaitable[dict[str, Any]]]
"""Changes a provider, over what was seen when, with moves."""


async def change_all(
    request: AnyRequest, clinic: dict[str, Any], form: Form, during: Range[datetime], change_one: ChangeOne, field: str
) -> tuple[dict[str, Any] | None, dict[str, object]]:
    """Change each provider in a transaction of its own, as each has a book of its own.

    Returns what is in the way during that time, where the sender has to see it first and nothing was done; and else
    None, with what came of it in numbers. Where one is refused, for what was booked meanwhile, the others stay changed,
    the form says so at `field`, and what is in the way by now is returned.
    """
    blocked = await ask(request, queries.in_the_way_of_holiday, clinic["clinic_id"], during, _ROWS_SHOWN)
    seen, moves = seen_at(form), moves_of(form)
    if seen is None and blocked["in_the_way"]:
        return blocked, {}
    seen = seen or blocked["seen_at"]
    providers = [one["provider_id"] for one in clinic["providers"] if one["closed_at"] is None]
    answers = await at_once(request, [change_one(one, seen, moves) for one in providers])
    refused = [answer for answer in answers if answer["code"] != "changed"]
    if refused:
        for answer in refused:
            note_refusal(form, answer, request, field)
        return await ask(request, queries.in_the_way_of_holiday, clinic["clinic_id"], during, _ROWS_SHOWN), {}
    flagged, moved = (sum(answer[name] for answer in answers) for name in ("flagged", "moved"))
    return None, {"providers": len(providers), "flagged": flagged or "", "moved": moved or ""}


async def at_once(request: AnyRequest, changes: list[Awaitable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return what changes of providers answer; at a time as many as a role has connections."""
    free = asyncio.Semaphore(request.app.state.settings.staff_pool_size_max)

    async def one(work: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        async with free:
            return await work

    return list(await asyncio.gather(*(one(work) for work in changes)))
