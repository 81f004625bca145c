"""What is said: when, and where to look; never who, where or what for."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from healthplus.notices.sender import Email, Sms
from healthplus.notices.texts import (
    LANGUAGES,
    Wording,
    email_of,
    id_of_code,
    link_code,
    push_of,
    sms_of,
)
from tests.notices.sending import SITE

WORDING = Wording(SITE, timedelta(seconds=5))
TEXTS = LANGUAGES["en"].texts
REMINDER_ID = UUID("6f2c1b9e-8a54-4c0e-9b4d-0f3f5b7a9c11")
ROW: dict[str, Any] = {
    "kind": "booked",
    "offer": False,
    "ticket_state": None,
    "address": "+919876543210",
    "notice_id": UUID(int=7),
    "booking_id": UUID("3d0c6f1e-77a4-4d55-8b6a-6a1e1c0b9f33"),
    "reminder_id": None,
    "told_id": UUID("0c4f4b0a-3a0e-4f0c-8d0e-5d1d7a3c1f22"),
    "patient_id": 7,
    "language": "en",
    "starts_at": datetime(2026, 11, 25, 4, 50, tzinfo=UTC),
    "deadline": datetime(2026, 11, 25, 4, 52, 20, tzinfo=UTC),
    "come_at": datetime(2026, 11, 25, 5, 15, tzinfo=UTC),
    "time_zone": "Asia/Kolkata",
    "fee_minor": 50_000,
    "currency": "INR",
    "funding": "online",
    "is_paid": False,
    "is_paid_twice": False,
    "is_part": False,
    "is_started": False,
    "is_failed": False,
    "is_unanswered": False,
    "is_replaced": False,
    "is_by_staff": False,
    "kept_minor": 0,
    "returned_minor": 0,
    "preparations": None,
    "token": "A-047",
}


def _reminder(kind: str) -> dict[str, UUID]:
    return {"reminder_id": REMINDER_ID} if kind in ("reminder", "not_cancelled") else {}


KEPT = {"kept_minor": 9_999_900, "returned_minor": 9_999_900}
"""More than visits cost; with paise, such a text in Hindi may need a third part."""
ROWS = [
    *(
        ROW | {"kind": kind} | _reminder(kind)
        for kind in TEXTS
        if not re.search("offer_|expired_|withdrawn_|replaced|_kept|_part|_reply|_refund|_twice|_started", kind)
    ),
    *(ROW | {"kind": "expired", "offer": True, "ticket_state": state} for state in ("waiting", "called", "lapsed")),
    *(ROW | {"kind": kind, "is_paid": True} for kind in ("expired", "withdrawn")),
    ROW | {"is_by_staff": True},
    ROW | {"kind": "cancelled", "is_replaced": True},
    ROW | {"kind": "cancelled"} | KEPT,
    ROW | {"kind": "cancelled", "is_replaced": True} | KEPT,
    ROW | {"kind": "refunded"} | KEPT,
    *(ROW | {"kind": kind, "is_unanswered": True} for kind in ("expired", "withdrawn")),
    ROW | {"kind": "cancelled", "returned_minor": 9_999_900},
    ROW | {"kind": "cancelled", "is_replaced": True, "returned_minor": 9_999_900},
    ROW | {"kind": "refunded", "is_paid_twice": True, "returned_minor": 9_999_900},
    ROW | {"kind": "refunded", "is_part": True, "returned_minor": 9_999_900},
    ROW | {"kind": "refunded", "is_started": True, "returned_minor": 9_999_900},
    ROW | {"kind": "refunded", "is_failed": True, "returned_minor": 9_999_900},
]


def sms(**values: Any) -> Sms:
    return sms_of(ROW | values, WORDING)


def email(**values: Any) -> Email:
    return email_of(ROW | values, WORDING)


@pytest.mark.parametrize("replies", [False, True])
def test_every_text_in_english_fits_one_sms(replies: bool) -> None:
    told = [sms_of(row, WORDING._replace(takes_replies=replies)) for row in ROWS]
    assert {one.template_id for one in told} == set(TEXTS) - {"reminder" if replies else "reminder_reply"}
    for one in told:
        assert one.text.isascii()
        assert len(one.text) <= 160, one.text


@pytest.mark.parametrize("replies", [False, True])
def test_every_text_in_hindi_fits_two_parts(replies: bool) -> None:
    """One letter that is not ASCII, and a part holds 67 (UCS-2); a text names its clinic's time, and a link."""
    wording = WORDING._replace(takes_replies=replies)
    for row in ROWS:
        one = sms_of(row | {"language": "hi"}, wording)
        assert len(one.text.encode("utf-16-le")) / 2 <= 2 * 67, one.text
        assert one.text.startswith("HealthPlus: ")
        assert one.registered_name == f"{one.template_id}.hi"


def test_both_languages_say_the_same_facts() -> None:
    english, hindi = (texts.texts for texts in LANGUAGES.values())
    assert english.keys() == hindi.keys()
    for name, text in english.items():
        for part in ("message", "subject"):
            said, other = (re.findall(r"{\w+}", getattr(one, part)) for one in (text, hindi[name]))
            assert sorted(said) == sorted(other), name
        assert (text.page, text.with_fee) == (hindi[name].page, hindi[name].with_fee)
    assert "बुध 25 नव॰, सुबह 10:20 IST" in sms(language="hi").text
    assert sms(language="hi").text.endswith(f"{SITE}/hi/a/{link_code(ROW['booking_id'])}")


def test_values_of_a_template_are_what_stands_in_its_places() -> None:
    """WhatsApp, and the register of texts, have the text with numbered places."""
    for row in ROWS:
        for code in LANGUAGES:
            one = sms_of(row | {"language": code}, WORDING, "whatsapp")
            text = LANGUAGES[code].texts[one.template_id]
            filled = re.sub(r"{\w+}", "%s", text.message) % one.values[:-1]
            assert one.text == f"HealthPlus: {filled} {text.action}: {one.values[-1]}"


def test_an_html_mail_says_what_its_text_says() -> None:
    for row in ROWS:
        for code in LANGUAGES:
            mail = email(**row | {"language": code})
            assert f'<html lang="{code}">' in mail.html
            shown = html.unescape(
                " ".join(re.sub(r"<(style|title)>.*?</\1>|<[^>]+>", " ", mail.html, flags=re.S).split())
            )
            links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', mail.html)]
            for line in mail.text.strip().split("\n\n"):
                for part in re.split(r"(?<=[.।]) (?=\S+ .*: https)", line):
                    said, _, link = part.partition(": https")
                    assert said in shown, (said, shown)
                    assert not link or f"https{link}" in links
            assert not re.search(r"<(script|img|link)|@import|url\(", mail.html)  # nothing is fetched
            assert len(mail.html) < 10_000


def test_a_device_shows_the_message_and_opens_its_page() -> None:
    shown = push_of(ROW | {"kind": "reminder", "language": "hi", "reminder_id": REMINDER_ID}, WORDING)
    assert shown.text == "अपॉइंटमेंट बुध 25 नव॰, सुबह 10:20 IST पर है।"
    assert shown.path == f"/hi/a/{link_code(REMINDER_ID)}"
    assert shown.patient_id == 7


def test_a_reminders_code_is_its_id() -> None:
    assert len(link_code(REMINDER_ID)) == 22
    assert id_of_code(link_code(REMINDER_ID)) == REMINDER_ID
    for code in ("", "x", "a" * 21, "a" * 24, "é" * 22, "=" * 22, "a" * 20 + "==", "../../etc"):
        assert id_of_code(code) is None or len(code) == 22


@pytest.mark.dates
def test_times_are_the_citys_and_deadlines_the_clients() -> None:
    assert "Wed 25 Nov, 10:20 am IST" in sms().text
    assert "Wed 25 Nov, 5:50 am CET" in sms(time_zone="Europe/Berlin").text
    assert "Tue 24 Nov, 11:50 pm EST" in sms(time_zone="America/New_York").text
    assert "12:05 pm" in sms(starts_at=datetime(2026, 11, 25, 6, 35, tzinfo=UTC)).text
    assert "12:05 am" in sms(starts_at=datetime(2026, 11, 24, 18, 35, tzinfo=UTC)).text
    assert "until 10:22:15 am" in sms(kind="offered").text


@pytest.mark.parametrize(
    ("funding", "fee_minor", "currency", "said"),
    [
        ("online", 50_000, "INR", "The fee is Rs 500, paid online."),
        ("clinic", 12_350, "INR", "The fee is Rs 123.50, to be paid at the clinic."),
        ("online", 9_950, "USD", "The fee is USD 99.50, paid online."),
        ("online", 5_000, "JPY", "The fee is JPY 5000, paid online."),
        ("clinic", 0, "INR", None),  # the clinic says what it costs
        ("free", 0, "INR", None),
    ],
)
def test_a_mail_says_the_fee(funding: str, fee_minor: int, currency: str, said: str | None) -> None:
    text = email(funding=funding, fee_minor=fee_minor, currency=currency).text
    assert (said in text) if said else ("fee" not in text)
    assert "fee" not in sms(funding=funding, fee_minor=fee_minor).text


def test_links_lead_to_the_turn_or_to_what_they_are_about() -> None:
    for row in ROWS:
        is_turn = row["kind"] in ("queued", "offered", "called") or row["ticket_state"] in ("waiting", "called")
        own = f"{SITE}/a/{link_code(row['reminder_id'] or row['booking_id'])}"
        link = f"{SITE}/turn" if is_turn else own
        if row["kind"] == "person_added":
            link = f"{SITE}/people"
        if row["kind"] == "choose_time":
            link = f"{own}?move"
        if row["kind"] == "earlier":
            link = f"{SITE}/e/{link_code(row['told_id'])}"
        assert sms(**row).text.endswith(f" {link}")
        assert re.findall(r"https?://\S+", email(**row).text) == [link, f"{SITE}/notifications"]


@pytest.mark.parametrize(("language", "said"), [("en", "Refund processed: Rs 500."), ("hi", "रिफ़ंड भेजा: ₹500।")])
def test_a_refund_names_its_amount(language: str, said: str) -> None:
    assert f"HealthPlus: {said}" in sms(kind="refunded", returned_minor=50_000, language=language).text


def test_who_never_paid_is_not_told_that_money_goes_back() -> None:
    assert "No money was taken." in sms(kind="expired").text
    assert "You get your money back." in sms(kind="expired", is_paid=True).text
    cancelled = sms(kind="cancelled").text
    assert "Your appointment on Wed 25 Nov, 10:20 am IST is cancelled. Book again: " in cancelled


@pytest.mark.parametrize("kind", ["expired", "withdrawn"])
def test_where_the_bank_has_not_answered_nobody_says_that_it_took_no_money(kind: str) -> None:
    for told in (sms, email):
        text = told(kind=kind, is_unanswered=True).text
        assert "Any money taken comes back." in text
        assert "No money was taken" not in text
        assert "पैसा नहीं कटा" not in told(kind=kind, is_unanswered=True, language="hi").text


@pytest.mark.parametrize("is_replaced", [False, True])
def test_what_is_kept_and_what_goes_back_is_said_to_the_paisa(is_replaced: bool) -> None:
    money = {"kept_minor": 12_345, "returned_minor": 37_655}
    for told in (sms, email):
        text = told(kind="cancelled", is_replaced=is_replaced, **money).text
        said = f"Wed 25 Nov, 10:20 am IST is {'replaced' if is_replaced else 'cancelled'}: Rs 123.45 kept,"
        assert f"{said} Rs 376.55 back." in text
        assert "Refund processed: Rs 376.55 of what you paid." in told(kind="refunded", **money).text
