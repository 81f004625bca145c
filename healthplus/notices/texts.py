"""What each notice says, in the patient's language, by every channel.

They name neither doctor nor clinic nor speciality: others can read a message on a locked screen or over a shoulder, and
it is kept for years. For the same reason their links name nothing either: they lead to pages that ask the reader to
sign in, that of a turn to the offer itself, all others to the appointment, or to what became of it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime, timedelta
from string import Formatter
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

from healthplus.money import INR, in_units
from healthplus.notices.mail import mail_html
from healthplus.notices.sender import Email, Push, Sms
from healthplus.notices.text import APPOINTMENT, EARLIER, MOVE, Text, Texts
from healthplus.notices.texts_en import ENGLISH
from healthplus.notices.texts_hi import HINDI

LANGUAGES = {texts.code: texts for texts in (ENGLISH, HINDI)}
NOTIFICATIONS = "/notifications"

Row: TypeAlias = Mapping[str, Any]
"""A row of `take_due`, with `is_unanswered`: whether its bank has not said yet if it took money for a hold."""


class Wording(NamedTuple):
    """What texts depend on besides the notice: an offer is said to end `client_margin` before it does.

    `takes_replies`: an SMS can be answered.
    """

    site_url: str
    client_margin: timedelta
    takes_replies: bool = False


def template_of(row: Row) -> str:
    """Return the name of the text for a notice.

    An offer that was not taken has other texts than an expired hold, and so has a hold, expired or withdrawn, for which
    money was set aside, or was asked for and the bank has not answered.
    So has an appointment that staff booked, that a new one replaced, or its patient would book again, any that was
    paid, and any of whose money a part is kept; and a refund that is ordered, but not processed yet, or that
    failed as often as it is tried by itself.
    """
    kind = str(row["kind"])
    if kind == "cancelled":
        name = "replaced" if row["is_replaced"] else kind
        return name + ("_kept" if row["kept_minor"] else "_refund" if row["returned_minor"] else "")
    if kind == "booked" and row["is_by_staff"]:
        return "booked_by_clinic"
    if kind == "refunded":
        end = "_twice" if row["is_paid_twice"] else "_part" if row["kept_minor"] or row["is_part"] else ""
        return "refund_failed" if row["is_failed"] else "refund_started" if row["is_started"] else kind + end
    if kind == "expired" and row["offer"]:
        return "offer_missed" if row["ticket_state"] in ("waiting", "offered", "called") else "offer_lapsed"
    if kind in ("expired", "withdrawn"):
        return kind + ("_paid" if row["is_paid"] else "_unanswered" if row["is_unanswered"] else "")
    return kind


def sms_of(row: Row, wording: Wording, channel: str = "sms") -> Sms:
    """Return the SMS for a row of `take_due`, or the same for WhatsApp, which has the values of its template."""
    template = template_of(row)
    if template == "reminder" and channel == "sms" and wording.takes_replies:
        template = "reminder_reply"
    texts = LANGUAGES[row["language"]]
    text = texts.texts[template]
    facts = _facts(row, wording, texts)
    link = _link(row, wording, texts, text)
    values = [facts[name] for _, name, _, _ in Formatter().parse(text.message) if name]
    return Sms(
        row["address"],
        f"HealthPlus: {text.message.format_map(facts)} {text.action}: {link}",
        template,
        row["notice_id"].hex,
        texts.code,
        (*values, link),
    )


def email_of(row: Row, wording: Wording) -> Email:
    """Return the e-mail for a row of `take_due`, as `sms_of` does the SMS.

    It also states the fee, and reminds of what is to be done before: no SMS does, since that hints at what it is for.
    """
    texts = LANGUAGES[row["language"]]
    text = texts.texts[template_of(row)]
    facts = _facts(row, wording, texts)
    link = _link(row, wording, texts, text)
    settings = f"{wording.site_url}{texts.prefix}{NOTIFICATIONS}"
    lines = [text.message.format_map(facts)]
    if text.with_fee and row["funding"] in texts.fee and row["fee_minor"]:
        lines.append(texts.fee[row["funding"]].format_map(facts))
    lines += [f"{texts.before}: {one}" for one in row["preparations"] or ()]
    plain = [*lines, f"{text.action}: {link}", f"{texts.why} {texts.settings}: {settings}", "HealthPlus"]
    return Email(
        row["address"],
        f"HealthPlus: {text.subject}",
        "\n\n".join(plain) + "\n",
        row["notice_id"].hex,
        mail_html(
            texts.code,
            text.subject,
            lines,
            (text.action, link),
            footer=texts.why,
            footer_link=(texts.settings, settings),
        ),
    )


def push_of(row: Row, wording: Wording) -> Push:
    """Return what the patient's devices show for a row of `take_due`."""
    texts = LANGUAGES[row["language"]]
    text = texts.texts[template_of(row)]
    facts = _facts(row, wording, texts)
    path = _link(row, wording, texts, text).removeprefix(wording.site_url)
    return Push(row["patient_id"], text.message.format_map(facts), path, texts.code, row["notice_id"].hex)


def link_code(link_id: UUID) -> str:
    """Return what the link to an appointment, or to an earlier time, ends with."""
    return base64.urlsafe_b64encode(link_id.bytes).decode().rstrip("=")


def id_of_code(code: str) -> UUID | None:
    """Return the id in the end of such a link; None where it is none."""
    try:
        return UUID(bytes=base64.b64decode(code + "==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return None


def _link(row: Row, wording: Wording, texts: Texts, text: Text) -> str:
    own_id = {APPOINTMENT: row["reminder_id"] or row["booking_id"], EARLIER: row["told_id"]}.get(text.page)
    end = link_code(own_id) if own_id else ""
    if text.page == MOVE:
        return f"{wording.site_url}{texts.prefix}{APPOINTMENT}{link_code(row['booking_id'])}?move"
    return f"{wording.site_url}{texts.prefix}{text.page}{end}"


def _facts(row: Row, wording: Wording, texts: Texts) -> dict[str, str]:
    zone = ZoneInfo(row["time_zone"])

    def amount(minor: int) -> str:
        units = in_units(minor, row["currency"])
        sign = texts.rupees if row["currency"] == INR else f"{row['currency']} "
        return f"{sign}{units if units % 1 else int(units)}"

    def written(at: datetime, pattern: str) -> str:
        return format_datetime(at, pattern, zone, texts.locale).replace("AM", "am").replace("PM", "pm")

    starts_at = row["starts_at"]
    zone_name = f"{starts_at.astimezone(zone):%Z}"
    return {
        "when": f"{written(starts_at, 'EEE d MMM')}, {written(starts_at, texts.clock)} {zone_name}",
        "until": written(row["deadline"] - wording.client_margin, texts.exact_clock),
        "come": written(row["come_at"], texts.clock) if row["come_at"] else "",
        "fee": amount(row["fee_minor"]),
        "kept": amount(row["kept_minor"]),
        "returned": amount(row["returned_minor"]),
        "token": row["token"] or "",
    }
