"""What is said: when, and where to look; never who, where or what for."""

from __future__ import annotations

import html
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from healthplus.accounts.actors import Patient, Staff
from healthplus.booking.replacements import cancel_replaced
from healthplus.notices.delays import Delays
from healthplus.notices.earlier import EarlierTimes
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
from tests.fixtures.clock import move_clock_to
from tests.fixtures.directory import make_city, make_clinic
from tests.fixtures.races import HOLD_TIME, OFFER_TIME, UNDO_TIME, RaceEnvironment
from tests.fixtures.terms import set_terms
from tests.notices.sending import SITE, Recorder, notices, phone, reachable, sweep_all

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
    "is_unanswered": False,
    "is_replaced": False,
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
        if not re.search("offer_|expired_|withdrawn_|replaced|_kept|_part|_reply|_refund|_twice", kind)
    ),
    *(ROW | {"kind": "expired", "offer": True, "ticket_state": state} for state in ("waiting", "called", "lapsed")),
    *(ROW | {"kind": kind, "is_paid": True} for kind in ("expired", "withdrawn")),
    ROW | {"kind": "cancelled", "is_replaced": True},
    ROW | {"kind": "cancelled"} | KEPT,
    ROW | {"kind": "cancelled", "is_replaced": True} | KEPT,
    ROW | {"kind": "refunded"} | KEPT,
    *(ROW | {"kind": kind, "is_unanswered": True} for kind in ("expired", "withdrawn")),
    ROW | {"kind": "cancelled", "returned_minor": 9_999_900},
    ROW | {"kind": "cancelled", "is_replaced": True, "returned_minor": 9_999_900},
    ROW | {"kind": "refunded", "is_paid_twice": True, "returned_minor": 9_999_900},
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
        if row["kind"] == "earlier":
            link = f"{SITE}/e/{link_code(row['told_id'])}"
        assert sms(**row).text.endswith(f" {link}")
        assert re.findall(r"https?://\S+", email(**row).text) == [link, f"{SITE}/notifications"]


@pytest.mark.parametrize(("language", "said"), [("en", "Refunded: Rs 500 to"), ("hi", "रिफ़ंड हुआ: ₹500।")])
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
        assert "Refunded: Rs 376.55 of what you paid." in told(kind="refunded", **money).text


@pytest.mark.parametrize(
    ("kept", "text", "rest"),
    [
        (None, "replaced_refund", "IST is replaced. You get Rs 500 back."),
        ("20%", "replaced_kept", "IST is replaced: Rs 100 kept, Rs 400 back."),
    ],
)
async def test_who_moves_to_another_provider_is_not_told_to_book_again(
    race: RaceEnvironment, kept: str | None, text: str, rest: str
) -> None:
    (patient,) = await reachable(race, 1, email=True)
    texts, mails = Recorder(), Recorder()
    await replace_one(race, patient, kept)
    told = notices(race.db, texts, mails)
    await sweep_all(told, "sms")
    await sweep_all(told, "email")
    assert texts.templates == ["booked", text]  # that of the first is dropped, as it is cancelled
    for sent in (texts.sent, mails.sent):
        (cancelled,) = [one.text for one in sent if "replace" in one.text]
        assert rest in cancelled
        assert "Book again" not in "".join(one.text for one in sent)
    subjects = [one.subject for one in mails.sent if isinstance(one, Email)]
    assert subjects.count("HealthPlus: Your earlier appointment is cancelled") == 1


async def replace_one(race: RaceEnvironment, patient: int, kept: str | None = None) -> None:
    """Book a visit, of whose fee such a part is kept, and one with another provider instead of it."""
    first, second = await race.providers(2)
    if kept:
        await race.db.execute("UPDATE directory.provider_clinic SET funding = 'online'")
        await set_terms(race.db, race.clinic_id, {8784: kept})
    old = await race.held(first, patient)
    await race.db.execute("UPDATE directory.clinic SET terms_id = NULL WHERE clinic_id = $1", race.clinic_id)
    await race.book.confirm(first.provider_id, old, f"set aside {old}", Patient(patient))
    new = await race.book.hold(
        second.provider_id, race.clinic_id, second.starts[0], 1, patient, Patient(patient),
        instead_of=(first.provider_id, old),
    )  # fmt: skip
    assert new.code == "reserved"
    await race.book.confirm(second.provider_id, new.booking_id, "set aside for the new one", Patient(patient))
    await cancel_replaced(race.db, race.book)


async def cancel_by_terms(race: RaceEnvironment, patient: int) -> None:
    """Book a visit of whose fee something is kept, and cancel it."""
    provider = await race.provider()
    await race.db.execute(
        "UPDATE directory.provider_clinic SET funding = 'online' WHERE provider_id = $1", provider.provider_id
    )
    await set_terms(race.db, race.clinic_id, {8784: "20%"})
    held = await race.held(provider, patient)
    await race.db.execute("UPDATE directory.clinic SET terms_id = NULL WHERE clinic_id = $1", race.clinic_id)
    await race.book.confirm(provider.provider_id, held, f"set aside {held}", Patient(patient))
    assert (await race.book.cancel(provider.provider_id, held, Patient(patient))).code == "cancelled"
    await race.db.execute("SELECT notices.add($1, $2, NULL, 'refunded', public.app_now())", provider.provider_id, held)


def words(chance: random.Random) -> str:
    """Draw a name of two or three words; letters that people's names have, and no other text would."""
    letters = "abdeiklmnoprstuvzäéñकखगघ"
    return " ".join(
        "".join(chance.choices(letters, k=chance.randint(7, 10))).title() for _ in range(chance.randint(2, 3))
    )


async def test_no_name_of_provider_clinic_city_or_speciality_is_told(race: RaceEnvironment) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    sms, email = Recorder(), Recorder()
    told = notices(race.db, sms, email)
    for round_ in range(10):
        if round_:
            race.clinic_id = await make_clinic(race.db, await make_city(race.db))
        provider = await race.provider(slots=2)
        await name_all(race, provider.provider_id, chance)
        await send_everything(race, provider, told)
    names = await race.db.fetch(NAMES)
    forbidden = {word.lower() for row in names for word in re.split(r"[\s-]+", row["name"])}
    said = [one.text for one in (*sms.sent, *email.sent)] + [
        one.subject for one in email.sent if isinstance(one, Email)
    ]
    kinds = {one.template_id for one in sms.sent if isinstance(one, Sms)}
    assert kinds == set(TEXTS) - NOT_TOLD, seed
    assert len(forbidden) > 100
    assert not [(word, text) for text in said for word in forbidden if word in text.lower()], seed


NOT_TOLD = {
    *("offer_lapsed", "reminder_reply", "withdrawn_paid", "expired_unanswered", "withdrawn_unanswered"),
    *("refunded_twice", "cancelled_refund", "replaced", "token"),
}
"""What cannot come of what send_everything does, but of the bank's silence and the like."""

NAMES = """SELECT name FROM directory.provider UNION ALL SELECT name || ' ' || address FROM directory.clinic
UNION ALL SELECT name FROM directory.city UNION ALL SELECT name FROM directory.speciality"""
NAME_ALL = (
    "UPDATE directory.provider SET name = $2 WHERE provider_id = $1",
    "UPDATE directory.clinic SET name = $2 WHERE name = 'Clinic' OR $1 = 0",
    "UPDATE directory.clinic SET address = $2 WHERE address = '' OR $1 = 0",
    "UPDATE directory.city SET name = $2 WHERE name = 'City' OR $1 = 0",
    """WITH new AS (
        INSERT INTO directory.speciality (slug, name) VALUES ('speciality-' || $1::bigint, $2) RETURNING speciality_id)
    INSERT INTO directory.provider_speciality SELECT $1, speciality_id FROM new""",
)


async def name_all(race: RaceEnvironment, provider_id: int, chance: random.Random) -> None:
    for sql in NAME_ALL:
        await race.db.execute(sql, provider_id, words(chance))


async def send_everything(race: RaceEnvironment, provider: Any, told: Any) -> None:
    """Go through all that can happen to a booking, telling each as it happens."""

    async def tell() -> None:
        await sweep_all(told, "sms")
        await sweep_all(told, "email")

    async def pass_by(time: timedelta) -> None:
        await race.pass_time(time + timedelta(seconds=1))
        await race.db.execute("UPDATE booking.ticket SET present_at = public.app_now()")
        await race.book.advance(provider.provider_id)
        await tell()

    one, other, third, *called = await reachable(race, 5, email=True)
    await race.called(await race.provider(), 2, called)
    await tell()
    elsewhere = await race.provider()
    late = await race.held(elsewhere, one)
    await race.pass_time(HOLD_TIME)
    await race.book.confirm(elsewhere.provider_id, late, f"set aside {late}", Patient(one))
    await tell()
    booked = await race.booked(provider, one, 0)
    await tell()
    await race.held(provider, other, 1)
    waiting = await race.waiting(provider, third)
    await race.db.execute("SELECT notices.tell_queued($1, $2, public.app_now())", provider.provider_id, waiting)
    await tell()
    await pass_by(HOLD_TIME)  # expired, and offered to the third
    await pass_by(OFFER_TIME)  # not even looked at
    await race.book.reschedule(provider.provider_id, booked, provider.starts[1], Patient(one))
    await tell()
    provider_id = provider.provider_id
    await race.book.add_leave(
        provider_id, None, provider.opens_at, provider.closes_at, "", Staff(1), flag_for_rebooking=True
    )
    await pass_by(UNDO_TIME)
    (leave,) = await race.db.fetch("SELECT leave_id FROM schedule.leave WHERE provider_id = $1", provider_id)
    await race.book.remove_leave(provider_id, leave["leave_id"], Staff(1))
    await pass_by(UNDO_TIME)
    await race.book.cancel(provider_id, booked, Patient(one))
    await race.db.execute("SELECT notices.add($1, $2, NULL, 'refunded', public.app_now())", provider_id, booked)
    await cancel_by_terms(race, other)
    await replace_one(race, one)
    await replace_one(race, other, "20%")
    await tell()
    await remind_and_refuse(race, third)
    await tell()
    await free_an_earlier_time(race)
    await tell()
    await take_times_away(race)
    await tell()
    await run_late(race)
    await tell()


async def run_late(race: RaceEnvironment) -> None:
    """Have two patients wait for a doctor who is 29 minutes late, and a third be told."""
    provider = await race.provider(slots=6)
    patients = await reachable(race, 3, email=True)
    booked = [await race.booked(provider, patient, slot) for slot, patient in zip((0, 1, 3), patients, strict=True)]
    await move_clock_to(race.db, provider.starts[0])
    for booking_id in booked[:2]:
        await race.db.execute(
            "SELECT reception.record($1, $2, $3, 'arrive', 'staff:1')", provider.provider_id, booking_id, race.clinic_id
        )
    await move_clock_to(race.db, provider.starts[0] + timedelta(minutes=29))
    await Delays(race.db).tell()


async def take_times_away(race: RaceEnvironment) -> None:
    """Have leave take what one patient holds, and another waits for."""
    provider = await race.provider()
    holder, waiter = await reachable(race, 2, email=True)
    await race.held(provider, holder)
    await race.waiting(provider, waiter)
    taken = await race.book.add_leave(
        provider.provider_id, None, provider.opens_at, provider.closes_at, "", Staff(1), flag_for_rebooking=True
    )
    assert taken.code == "changed"


async def free_an_earlier_time(race: RaceEnvironment) -> None:
    """Have a patient who asked for it be told of a time before their appointment; it is morning."""
    provider = await race.provider(slots=2)
    first, second = await reachable(race, 2, email=True)
    booked = [await race.booked(provider, patient, slot) for slot, patient in enumerate((first, second))]
    earlier = EarlierTimes(race.db)
    assert await earlier.ask(provider.provider_id, booked[1], second) == "on"
    await race.book.cancel(provider.provider_id, booked[0], Patient(first))
    await earlier.tell()


async def remind_and_refuse(race: RaceEnvironment, patient: int) -> None:
    """Remind a patient of an appointment, and have them say NO."""
    provider = await race.provider()
    await race.booked(provider, patient)
    await move_clock_to(race.db, provider.starts[0] - timedelta(hours=24))
    await race.db.fetch_value("SELECT notices.add_reminders(10)")
    await race.db.fetch_value("SELECT notices.take_reply($1, 'no')", phone(patient))
