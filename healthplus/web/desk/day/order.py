"""Today's order of one doctor: who is in the room, who is called next by the rule, and how the session goes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, post

from healthplus.console.console import queries
from healthplus.web.desk.day.acting import DONE, REFUSED, back_to, is_for_own_page, own_page, press
from healthplus.web.desk.day.news import day_version, news_since
from healthplus.web.desk.day.sheet import ACTS, STATES, Column, Row
from healthplus.web.desk.office.asks import SEXES
from healthplus.web.desk.office.clinic import read_clinic
from healthplus.web.desk.office.frame import ask
from healthplus.web.desk.session import desk_page, needs, require_staff
from healthplus.web.http.ids import ClinicId, ProviderId
from healthplus.web.pages.chart import Text
from healthplus.web.pages.delays import told_off
from healthplus.web.services import AnyRequest


class Order:
    """A doctor's session, as far as the page sorts it: who is served, who waits in order, who is called, who comes."""

    def __init__(self, found: dict[str, Any], told_off: dict[str, Any] | None, viewer: str) -> None:
        self.viewer = viewer
        self.now = found["now_at"]
        self.provider = found["provider"]
        self.session = found["session"]
        self.others = found["others"]
        self.left_open = found["left_open"]
        self.every = found["walk_in_every"]
        self.told_off = told_off
        self._rows = [row for row in Column(self.provider, self.now).rows if row.visit]

    def _in(self, *states: str) -> list[Row]:
        return [row for row in self._rows if row.state in states]

    @property
    def served(self) -> Row | None:
        """Return who is in the room, or else was called last."""
        rooms = sorted(self._in("in_room"), key=_since)
        return rooms[-1] if rooms else max(self._in("called"), key=_since, default=None)

    @property
    def called(self) -> list[Row]:
        """Return who was called and is not in the room, who was called last first; but for who is shown large."""
        return sorted((row for row in self._in("called") if row is not self.served), key=_since, reverse=True)

    @property
    def waiting(self) -> list[Row]:
        """Return who has a place in the order, from the next on."""
        return sorted((row for row in self._rows if row.visit["place"]), key=lambda row: row.visit["place"])

    @property
    def expected(self) -> list[Row]:
        return self._in("expected")

    @property
    def undoable(self) -> Row | None:
        """Return of whom who looks recorded something last that they can still undo."""
        return max(
            (row for row in self._rows if row.can_undo(self.viewer)),
            key=lambda row: row.visit["undo_until_at"],
            default=None,
        )

    def count(self, *states: str) -> int:
        return len(self._in(*states))

    def come_at(self, row: Row) -> Any:
        """Return when the patient's own page tells somebody to come, where it does."""
        return self.session["told"].get(row.visit["booking_id"], {}).get("come_at")


class OrderController(Controller):
    path = "/desk/{clinic_id:int}/order/{provider_id:int}"

    @get(**needs("see_clinic"))
    async def order(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        return await _page(request, clinic_id, provider_id)

    @get("/news", **needs("see_clinic", is_use=False))
    async def news(
        self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId, after: Text = ""
    ) -> Response[Any]:
        """Return what has changed since a version, for the page's script; nothing where all is as it was."""
        return await news_since(
            after,
            day_version(request, clinic_id),
            lambda version: _page(request, clinic_id, provider_id, template="day/order_live.html", version=version),
        )

    @post(**needs("record_attendance"))
    async def record(self, request: AnyRequest, clinic_id: ClinicId, provider_id: ProviderId) -> Response[str]:
        """Record what the pressed button says, `do`: an act and the booking that it is about."""
        pressed = await press(request, clinic_id, provider_id)
        if is_for_own_page(request, clinic_id):
            return own_page(request, clinic_id, pressed)
        if pressed.refused:
            return await _page(
                request, clinic_id, provider_id, refused=REFUSED[pressed.refused], about=pressed.booking_id
            )
        return back_to(request, f"/desk/{clinic_id}/order/{provider_id}", pressed)


def _since(row: Row) -> Any:
    return row.visit["since_at"] or row.starts_at


async def _page(
    request: AnyRequest,
    clinic_id: int,
    provider_id: int,
    *,
    refused: str = "",
    about: UUID | None = None,
    template: str = "day/order.html",
    version: str | None = None,
) -> Response[str]:
    # Before the order: what changes in between is seen with the next question.
    version = version or await day_version(request, clinic_id)
    query: dict[str, Any] = dict(request.query_params.items()) if request.method == "GET" else {}
    return desk_page(
        request,
        template,
        status=409 if refused else 200,
        clinic=await read_clinic(request, clinic_id),
        clinic_id=clinic_id,
        version=version,
        view=Order(
            await ask(request, queries.today_order, clinic_id, provider_id),
            await told_off(request, clinic_id),
            str(require_staff(request).actor),
        ),
        states=STATES,
        acts=ACTS,
        refused=refused,
        done=DONE.get(query.get("done", "")),
        about=str(about) if about else query.get("about", ""),
        sexes=SEXES,
    )
