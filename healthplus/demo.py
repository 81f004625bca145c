"""What the page /demo says on how to try the demo: `healthplus demo` finds it out, and its app processes are told."""

from __future__ import annotations

import msgspec


class WaitingRoom(msgspec.Struct, frozen=True):
    """A day of a nearly full doctor: the `path` of its chart, and how many times were free when the demo started."""

    path: str
    free: int


class GatewayClinic(msgspec.Struct, frozen=True):
    """A clinic that takes its money at an emulated gateway, and the `path` of a doctor's chart there."""

    gateway: str
    clinic: str
    path: str


class DemoGuide(msgspec.Struct, frozen=True):
    """Whom to be in the demo.

    `patient` is the name of one who has appointments, and `patient_phone` the number to sign in with, where there is
    one; `staff` are log-on IDs with their roles, whose one password is `staff_password`, at `desk_url`.
    """

    waiting_room: WaitingRoom | None
    patient: str
    patient_phone: str | None
    staff: dict[str, str]
    staff_password: str
    desk_url: str
    gateways: list[GatewayClinic] = []

    def as_setting(self) -> str:
        """Return it as the setting `demo_guide` has it."""
        return msgspec.json.encode(self).decode()


def read_demo_guide(text: str) -> DemoGuide:
    """Return what `as_setting` wrote. Raises ValueError."""
    try:
        return msgspec.json.decode(text, type=DemoGuide)
    except msgspec.DecodeError:
        raise ValueError("is set by `healthplus demo` alone; take it away.") from None
