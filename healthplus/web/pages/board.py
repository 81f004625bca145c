"""A clinic's board in its waiting room: tokens, in English and Hindi at once, for who has its address and key."""

from __future__ import annotations

import asyncio
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Controller, Response, get

from healthplus.accounts.sessions import hash_token
from healthplus.database import load
from healthplus.errors import NotFound
from healthplus.web.http.ids import ClinicId
from healthplus.web.languages import ENGLISH, LANGUAGES, N_
from healthplus.web.pages.chart import Text
from healthplus.web.pages.rendering import page
from healthplus.web.services import AnyRequest, services

queries = load(Path(__file__).with_name("board.sql"))

TEXTS: Final = {
    "come_in": N_("Please come in"),
    "in_room": N_("In the room"),
    "nobody": N_("Nobody is in the room now"),
    "begins": N_("Begins at"),
    "next": N_("Next"),
    "none": N_("nobody waits"),
    "late": N_("%(count)d min late"),
    "on_time": N_("On time"),
    "missed": N_("Called and missed? Come to the desk:"),
    "empty": N_("No doctor sees patients here today any more."),
    "lost": N_("No connection: this may be out of date. Ask at the desk."),
}
_SHARED_SECONDS = 0.2
"""How old what a board shows may be, so that all boards that a change wakes read it once."""
_RELOAD_SECONDS = 10
"""How often a board without script is loaded again."""
_HEADERS = {
    "Cache-Control": "no-store",
    # The address has the key.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


class BoardController(Controller):
    path = "/board/{clinic_id:int}"

    @get()
    async def show(self, request: AnyRequest, clinic_id: ClinicId, key: Text = "") -> Response[str]:
        return _page(request, await _require_board(request, clinic_id, key), "board/board.html")

    @get("/news")
    async def news(self, request: AnyRequest, clinic_id: ClinicId, key: Text = "", after: Text = "") -> Response[Any]:
        """Return what the board shows as soon as that differs from `after`; nothing where it does not for a while."""
        known = await _require_board(request, clinic_id, key)
        looks = 0

        async def look() -> dict[str, Any] | None:
            nonlocal looks
            looks += 1
            if looks > 1:  # woken by a change: what was read before it must not do
                await asyncio.sleep(2 * _SHARED_SECONDS)
            board = await _require_board(request, clinic_id, key)
            return board if _version(board) != after else None

        watched = [column["provider_id"] for column in known["columns"]] or [0]
        board = await services(request).charts.wait_for_update(watched[0], look, *watched[1:])
        if board is None:
            return Response(b"", status_code=204, headers=_HEADERS)
        return _page(request, board, "board/columns.html")


async def _require_board(request: AnyRequest, clinic_id: int, key: str) -> dict[str, Any]:
    """Return a clinic's board, read once in 0.2 s at most for all who show it. Raises NotFound for a wrong key."""
    key_hash = hash_token(key)

    async def read() -> dict[str, Any] | None:
        found: dict[str, Any] | None = await services(request).database.fetch_value(queries.board, clinic_id, key_hash)
        return found

    board = await services(request).reads.read((BoardController, clinic_id, key_hash), read, seconds=_SHARED_SECONDS)
    if board is None:
        raise NotFound
    return board


def _version(board: dict[str, Any]) -> str:
    return sha256(msgspec.json.encode(board, order="sorted")).hexdigest()[:16]


def _page(request: AnyRequest, board: dict[str, Any], template: str) -> Response[str]:
    columns = [{**one, "begins_at": datetime.fromisoformat(one["begins_at"])} for one in board["columns"]]
    return page(
        request,
        template,
        headers=_HEADERS,
        board=board,
        columns=columns,
        missed=[label for one in columns for label in one["missed"]],
        version=_version(board),
        zone=board["time_zone"],
        texts=TEXTS,
        english=ENGLISH,
        others=[one for one in LANGUAGES if one is not ENGLISH],
        reload_seconds=_RELOAD_SECONDS,
    )
