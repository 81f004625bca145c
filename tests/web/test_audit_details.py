"""What the audit's pages say besides an action: words, whatever short form the database keeps it in."""

from __future__ import annotations

from typing import Any

import pytest

from healthplus.web.desk.office.audit_details import _READINGS, Reader, details_of
from healthplus.web.desk.office.audit_texts import ACTIONS
from healthplus.web.languages import ENGLISH, LANGUAGES, Language

ZONE = "Asia/Kolkata"


def said(action: str, detail: str, language: Language = ENGLISH, currency: str | None = "INR", **more: Any) -> str:
    parts = details_of({"action": action, "detail": detail, **more}, Reader(language, ZONE, currency))
    return " | ".join(part.text for part in parts)


@pytest.mark.parametrize(
    ("action", "detail", "words"),
    [
        ("see_ask", "edit_patient", "Correct the patient’s name, year of birth or sex"),
        ("ask_change", "move: She called:\nher train", "Move it to another time | “She called:\nher train”"),
        ("confirm_ask", "move slot_full: x", "Move it to another time | the time was taken | “x”"),
        ("set_role", "ward", "Ward administrator"),
        ("set_role", "none", "Nothing any more"),
        ("log_in", "password and code", "by password and code"),
        ("log_out", "another log-in here", "another logged in here"),
        ("lock", "", ""),
        ("add_staff", "", ""),
        ("change_shifts", "changed; ended 3, 14", "shifts ended: 2"),
        (
            "change_shifts",
            "conflict; put  1 09:00:00-13:30:00/10, 7 2 09:00:00-24:00:00/15",
            "appointments are in the way | Mon 09:00–13:30, slots of 10 min | Tue 09:00–24:00, slots of 15 min",
        ),
        (
            "add_leave",
            "changed; 2026-12-01T18:30:00.000000Z to 2026-12-02T18:30:00.000000Z",
            "2 December 2026, 12:00 am – 3 December 2026, 12:00 am",
        ),
        (
            "remove_leave",
            "changed; 2026-12-01T18:30:00.000000Z to 2026-12-02T18:30:00.000000Z",
            "2 December 2026, 12:00 am – 3 December 2026, 12:00 am",
        ),
        ("set_photo", "ab" * 16, ""),
        ("close_provider", "changed", ""),
        ("close_provider", "conflict", "appointments are in the way"),
        ("change_provider", "Dr Rao; fee 50000 online", "Dr Rao | ₹500 | paid online"),
        ("put_service", "X-ray; 10000; 10 min; Do not eat; drink", "X-ray | ₹100 | 10 min | Do not eat; drink"),
        ("close_service", "Root canal", "Root canal"),
        ("close_service", "1123", "number 1123"),
        ("put_service", "X-ray; chest; 10000; 10 min", "X-ray; chest | ₹100 | 10 min"),
        (
            "set_terms",
            "root-canal; 24,4h; 10,-%; -,50000",
            "root-canal | cancelled less than 24 h before: 10 % kept | cancelled less than 4 h before: ₹500 kept",
        ),
        ("set_terms", "h; %; ", "all is refunded until it begins"),
        ("see_audit", "demo-ward see_booking", "demo-ward | Looked at an appointment"),
        ("see_audit", "demo-ward", "demo-ward"),
        ("see_audit", "see_booking", "Looked at an appointment"),
        ("add_to_breach", "3 board_told", "number 3 | Data protection authority: first notice"),
        ("revoke_key", "key 12", "number 12"),
        ("see_in_the_way", "3 booked", "appointments: 3"),
        ("add_picture", "The way in", "The way in"),
    ],
)
def test_details_are_words(action: str, detail: str, words: str) -> None:
    assert said(action, detail) == words
    assert _READINGS.keys() <= ACTIONS.keys()


def test_amounts_of_many_clinics_have_no_currency_and_are_left_out() -> None:
    assert said("change_provider", "Dr Rao; fee 50000 online", currency=None) == "Dr Rao | paid online"


def test_the_books_reasons_are_words_too() -> None:
    assert said("needs_rebooking", "leave_changed", is_event=True) == "leave was changed"
    assert said("moved", "She called", is_event=True) == "She called"


@pytest.mark.parametrize(
    "detail", ["", ";", "; ", "x; y; z; w; v", "1 2 3", "a: b", ": ", "put 9 9 99:99-99:99/0", "\n"]
)
def test_whatever_was_written_is_said_somehow(detail: str) -> None:
    for language in LANGUAGES:
        for action in (*ACTIONS, "later_release"):
            said(action, detail, language)
