"""The address of a clinic's board, which is shown once, and how far off it was what patients were told of delays."""

from __future__ import annotations

import secrets

from litestar import Controller, Response, get, post

from healthplus.accounts.sessions import hash_token
from healthplus.console.console import queries
from healthplus.web.desk.office.frame import ask, change, office_page
from healthplus.web.desk.office.shown_once import ShownOnce, keep_once, take_once
from healthplus.web.desk.session import needs
from healthplus.web.http.ids import ClinicId
from healthplus.web.pages.rendering import see_other
from healthplus.web.pages.session import site
from healthplus.web.services import AnyRequest

_KEY_BYTES = 24


class BoardSetupController(Controller):
    path = "/office/{clinic_id:int}/board"

    @get(**needs("manage_schedule"))
    async def setup(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        once, cookies = take_once(request, _path(clinic_id))
        setup = await ask(request, queries.board_setup, clinic_id)
        return office_page(
            request, "board.html", clinic_id, "board", clinic=setup, setup=setup, once=once, cookies=cookies
        )

    @post(**needs("manage_schedule"))
    async def renew(self, request: AnyRequest, clinic_id: ClinicId) -> Response[str]:
        key = secrets.token_urlsafe(_KEY_BYTES)
        await change(request, queries.renew_board, clinic_id, hash_token(key))
        shown = ShownOnce(_path(clinic_id), "", f"{site(request).url}/board/{clinic_id}?key={key}")
        return see_other(request, _path(clinic_id), {"done": "renewed"}, [keep_once(request, shown)])


def _path(clinic_id: int) -> str:
    return f"/office/{clinic_id}/board"
