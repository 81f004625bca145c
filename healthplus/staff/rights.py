"""What members of the staff may do: the one table of rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

Role: TypeAlias = Literal["desk", "practitioner", "ward", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)

Right: TypeAlias = Literal[
    "see_clinic",
    "see_own_day",
    "add_patient",
    "book",
    "record_attendance",
    "change_booking",
    "take_payment",
    "manage_tills",
    "ask_change",
    "manage_schedule",
    "ask_leave",
    "manage_desk_accounts",
    "manage_staff",
    "manage_clinics",
    "add_speciality",
    "see_operations",
    "see_audit",
    "manage_keys",
    "manage_breaches",
]

_CLINICS: frozenset[Role] = frozenset({"desk", "ward", "administrator"})
_CHANGES: frozenset[Role] = frozenset({"ward", "administrator"})
_ADMINISTRATOR: frozenset[Role] = frozenset({"administrator"})
_OWN_DAY: frozenset[Role] = frozenset({"practitioner"})

RIGHTS: Mapping[Right, frozenset[Role]] = {
    "see_clinic": _CLINICS,
    "see_own_day": _OWN_DAY,
    "add_patient": _CLINICS,
    "book": _CLINICS,
    "record_attendance": _CLINICS | _OWN_DAY,
    "change_booking": _CHANGES,
    "take_payment": _CLINICS,
    "manage_tills": _CHANGES,
    "ask_change": frozenset({"desk"}),
    "manage_schedule": _CHANGES,
    "ask_leave": _OWN_DAY,
    "manage_desk_accounts": _CHANGES,
    "manage_staff": _ADMINISTRATOR,
    "manage_clinics": _ADMINISTRATOR,
    "add_speciality": _ADMINISTRATOR,
    "see_operations": _ADMINISTRATOR,
    "see_audit": _CHANGES,
    "manage_keys": _ADMINISTRATOR,
    "manage_breaches": _ADMINISTRATOR,
}
"""Who has each right, at the clinics where they are that; an administrator at every clinic."""


def is_everywhere(role: Role) -> bool:
    """Return whether one has a role at every clinic; every other role is for one clinic."""
    return role in _ADMINISTRATOR


def is_of_provider(role: Role) -> bool:
    """Return whether a role is for those alone who are a provider of the clinic."""
    return role in _OWN_DAY


def role_for(roles: Mapping[int | None, Role], right: Right, clinic_id: int | None) -> Role | None:
    """Return which of somebody's roles, by clinic, gives them a right at a clinic; None: they have it not.

    A clinic that is None is every clinic, among `roles` as in what is asked for.
    """
    return next((role for one in (clinic_id, None) if (role := roles.get(one)) and role in RIGHTS[right]), None)


def has_right(roles: Mapping[int | None, Role], right: Right, clinic_id: int | None) -> bool:
    """Return whether roles, by clinic, give a right at a clinic; None: at every clinic."""
    return role_for(roles, right, clinic_id) is not None


def has_right_anywhere(roles: Mapping[int | None, Role], right: Right) -> bool:
    """Return whether roles, by clinic, give a right at one clinic or more."""
    return any(role in RIGHTS[right] for role in roles.values())
