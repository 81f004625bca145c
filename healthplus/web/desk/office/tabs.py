"""The pages of the office that stand in its tabs, of a clinic and of all, and who sees which of them."""

from __future__ import annotations

from typing import NamedTuple

from healthplus.staff.rights import Right
from healthplus.staff.sessions import StaffSession
from healthplus.web.languages import N_


class Tab(NamedTuple):
    """A page in the tabs: `path` goes on from that of the office, and `right` is what its route needs."""

    name: str
    path: str
    right: Right
    text: str


CLINIC_TABS = (
    Tab("providers", "", "manage_schedule", N_("Doctors and shifts")),
    Tab("leave", "/leave", "manage_schedule", N_("Leave")),
    Tab("services", "/services", "manage_schedule", N_("Services")),
    Tab("terms", "/terms", "manage_schedule", N_("Terms")),
    Tab("walk_ins", "/walk-ins", "manage_schedule", N_("Walk-ins")),
    Tab("clinic", "/clinic", "manage_schedule", N_("Clinic")),
    Tab("board", "/board", "manage_schedule", N_("Board")),
    Tab("tills", "/tills", "manage_tills", N_("Tills")),
    Tab("staff", "/staff", "manage_desk_accounts", N_("Staff")),
    Tab("asks", "/asks", "change_booking", N_("Asks")),
    Tab("refunds", "/refunds", "change_booking", N_("Refunds")),
    Tab("audit", "/audit", "see_audit", N_("Audit")),
)
ADMINISTRATION_TABS = (
    Tab("clinics", "/system/clinics", "see_operations", N_("Clinics")),
    Tab("accounts", "/staff", "manage_staff", N_("Accounts")),
    Tab("audit", "/audit", "see_audit", N_("Audit")),
    Tab("money", "/money", "see_operations", N_("Money")),
    Tab("breaches", "/breaches", "manage_breaches", N_("Data breaches")),
    Tab("keys", "/system/keys", "manage_keys", N_("Keys")),
    Tab("system", "/system", "see_operations", N_("System")),
)


def tabs_of(staff: StaffSession, clinic_id: int | None) -> list[Tab]:
    """Return the tabs that somebody sees in the office of a clinic, or (None) of all clinics."""
    return [
        tab for tab in (ADMINISTRATION_TABS if clinic_id is None else CLINIC_TABS) if staff.may(tab.right, clinic_id)
    ]


def first_page(staff: StaffSession, clinic_id: int | None) -> str | None:
    """Return where somebody begins in the office of a clinic, or (None) of all clinics; None: they see none of it."""
    root = "/office" if clinic_id is None else f"/office/{clinic_id}"
    return next((f"{root}{tab.path}" for tab in tabs_of(staff, clinic_id)), None)


def has_office(staff: StaffSession) -> bool:
    """Return whether somebody sees the office of a clinic, or of all."""
    return any(tabs_of(staff, clinic_id) for clinic_id in {None, *staff.roles})
