"""Who does something: every change names its actor, from the session to the event."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Patient(msgspec.Struct, frozen=True):
    """A patient who is signed in; may touch only what is their own."""

    patient_id: int

    def __str__(self) -> str:
        return f"patient:{self.patient_id}"


class Staff(msgspec.Struct, frozen=True):
    """A member of a clinic's staff."""

    staff_id: int

    def __str__(self) -> str:
        return f"staff:{self.staff_id}"


class System(msgspec.Struct, frozen=True):
    """The product itself; `part` names which of its parts, or the operator at the command line."""

    part: str

    def __str__(self) -> str:
        return f"system:{self.part}"


Actor: TypeAlias = Patient | Staff | System
"""Its text is what events keep, and what booking.may_act in the database reads."""
