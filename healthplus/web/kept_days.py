"""Day sheets that several desks have open: each is read once for all of them, and rows that say the same written once.

The database is asked for each desk and each time, and decides and notes as if it were the only one; but of a day that
this process has in the same version it need not be told again what it holds.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable
from datetime import date
from typing import Any, NamedTuple, TypeAlias

from markupsafe import Markup

from healthplus.database import Database
from healthplus.web.book_watchers import BookWatchers

_WAKE_EVERY_SECONDS = 0.3
"""How often at most what desks have open is made again for changes of one book."""
_WAKE_AFTER_SECONDS = 0.1
"""Who made a change looks first: then it is read once, and not by them and by pages at the same time."""
_SHEETS_MAX = 64
_SHEET_SECONDS = 60.0
"""After so long, as with each minute, it has another version."""
_ROWS_MAX = 4000

Found: TypeAlias = dict[str, Any]
"""What console.day_sheet answers; of a day that it tells, what is made of it is kept with it, and the `news` of it."""


class News(NamedTuple):
    """What pages that have a day open are sent once it has changed, plain and in gzip's format."""

    headers: dict[str, str]
    body: bytes
    gzipped: bytes


class KeptDays(BookWatchers):
    """The day sheets of this process, and who waits for news of them. Nobody gets one unless the database said so."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, _WAKE_EVERY_SECONDS, "days")
        self._sheets: OrderedDict[tuple[int, date], Found] = OrderedDict()
        self._asking: dict[tuple[int, date], asyncio.Future[None]] = {}
        """Who asks for a day just now: pages that do so meanwhile wait, so that they find it kept."""
        self._rows: OrderedDict[Hashable, Markup] = OrderedDict()

    def on_change(self, provider_ids: Iterable[int]) -> None:
        asyncio.get_running_loop().call_later(_WAKE_AFTER_SECONDS, super().on_change, list(provider_ids))

    async def sheet(
        self, clinic_id: int, day: date, ask: Callable[[str | None], Awaitable[Found]], *, at_once: bool
    ) -> Found:
        """Return what `ask` answers, given the version of a day that is kept, or what is kept where that is right.

        `at_once`: somebody waits for it, and not a page. Raises what `ask` raises.
        """
        key = clinic_id, day
        while (asking := self._asking.get(key)) is not None:
            await asyncio.wait((asking,))
            if at_once:
                break
        if at_once:
            return await self._ask(key, ask)
        self._asking[key] = asyncio.get_running_loop().create_future()
        try:
            return await self._ask(key, ask)
        finally:
            self._asking.pop(key).set_result(None)

    async def _ask(self, key: tuple[int, date], ask: Callable[[str | None], Awaitable[Found]]) -> Found:
        kept = self._sheets.get(key)
        found = await ask(None if kept is None else kept["version"])
        if found.get("providers") is None:
            return kept if kept is not None and "now_at" in found else found
        found["news"] = {}
        if found["is_of_version"]:
            self._sheets[key] = found
            asyncio.get_running_loop().call_later(_SHEET_SECONDS, self._drop, key, found)
            if len(self._sheets) > _SHEETS_MAX:
                self._sheets.popitem(last=False)
        return found

    def _drop(self, key: tuple[int, date], found: Found) -> None:
        if self._sheets.get(key) is found:
            del self._sheets[key]

    def row(self, key: Hashable, write: Callable[[], Markup]) -> Markup:
        """Return the text of a row. The key must say all that it hangs on."""
        text = self._rows.get(key)
        if text is None:
            text = self._rows[key] = write()
            if len(self._rows) > _ROWS_MAX:
                self._rows.popitem(last=False)
        else:
            self._rows.move_to_end(key)
        return text
