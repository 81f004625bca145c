"""The detail of an entry of the audit, in words: it is stored short, as the functions that did the deed write it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import zip_longest
from typing import Any, NamedTuple, TypeAlias

from healthplus.web.desk.day.sheet import ACTS
from healthplus.web.desk.office.asks import KINDS
from healthplus.web.desk.office.audit_texts import ACTIONS
from healthplus.web.desk.office.breaches import DUTIES
from healthplus.web.desk.office.share import share_words
from healthplus.web.desk.texts import ROLES
from healthplus.web.languages import N_, Language

_FUNDINGS = {"online": N_("paid online"), "clinic": N_("paid at the clinic"), "free": N_("Free")}
_WORDS: dict[str, str] = {
    **{role: text for role, text in ROLES.items()},  # noqa: C416 - of any text, not of roles alone
    **_FUNDINGS,
    **{kind: text for kind, (text, _) in DUTIES.items()},
    "none": N_("Nothing any more"),
    "password": N_("by password"),
    "password and code": N_("by password and code"),
    "code": N_("by code"),
    "passkey": N_("by passkey"),
    "another log-in here": N_("another logged in here"),
    "another device": N_("on another device"),
    "idle": N_("nobody was there"),
    "with an app": N_("with an app for codes"),
    "ends second factors": N_("ends the second factor"),
    "described": N_("what is known now"),
    "closed": N_("the breach is closed"),
    **dict.fromkeys(("changed", "undone"), ""),
    "over": N_("the appointment had changed"),
    "conflict": N_("appointments are in the way"),
    "not_moved": N_("an appointment could not be moved there"),
    "stale": N_("somebody else had changed it"),
    "shift_overlap": N_("it overlaps another shift"),
    "invalid": N_("the times make no shift"),
    "not_found": N_("not found"),
    "wrong_state": N_("the appointment had changed"),
    "too_late": N_("the appointment had begun"),
    "another_day": N_("the appointment was on another day"),
    "too_early": N_("the doctor’s session was not over"),
    "just_called": N_("they were called less than two minutes before"),
    "unreachable": N_("the patient cannot be reached"),
    "not_last": N_("something else was recorded or changed meanwhile"),
    "not_next": N_("by the rule somebody else was next"),
    "slot_full": N_("the time was taken"),
    "slot_held": N_("the time was held"),
    "amount": N_("there was not so much left"),
    "overlap": N_("the patient has another appointment then"),
    "same_day": N_("the patient has an appointment with this doctor on that day"),
    "online_only": N_("the patient pays online only"),
    "birth_year": N_("this year of birth cannot be"),
    **dict.fromkeys(("added", "booked"), ""),
    "linked": N_("the number’s account had them"),
    "full": N_("six people have this number"),
    "no_such_slot": N_("there is no such time"),
    "claimed": N_("they hold a time, or wait in a queue"),
    "lapses": N_("they let too many holds run out"),
    "hold_budget": N_("they gave back too many holds"),
    "too_many_unpaid": N_("they have too much ahead that is not paid"),
    "too_many_ahead": N_("they have too much ahead"),
    "key_reused": N_("the same form was sent for something else"),
    "shift_changed": N_("shifts were changed"),
    "leave_changed": N_("leave was changed"),
    "schedule changed": N_("the clinic changed its times"),
    "late_payment": N_("it was paid for late"),
    "beyond": N_("more than one person may have ahead"),
    "overbooked": N_("at a time that was taken"),
    "walk_in": N_("without a time, as none was free"),
    "taken_back": N_("it was sent before, and taken back since"),
}
"""What functions write, which is no person's own words; "" is said by the action itself."""
_ASK = re.compile(r"(\w+)(?: (\w+))?(?:: (.*))?", re.DOTALL)
_MOVED = re.compile(r"was (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)(?:: (.*))?", re.DOTALL)
_SERVICE = re.compile(r"(.*?); (\d+); (\d+) min(?:; (.*))?", re.DOTALL)
_SHIFT = re.compile(r"\d* (\d) (\d\d:\d\d)\S*?-(\d\d:\d\d)\S*?/(\d+)(?: release=(\d+))?")


class Part(NamedTuple):
    """A piece of a detail. `is_typed`: in the words of a person, whatever the page's language."""

    text: str
    is_typed: bool = False


class Reader(NamedTuple):
    """For whom it is said, by which clock, and in which currency amounts are (None: of many clinics)."""

    language: Language
    zone: str
    currency: str | None

    def say(self, text: str, **values: object) -> Part:
        said = self.language.gettext(text) if text else ""
        return Part(said % values if values else said)

    def word(self, code: str) -> Part:
        """Return a word of ours as it is said, and anything else as it was typed."""
        return self.say(_WORDS[code]) if code in _WORDS else Part(code, is_typed=True)

    def money(self, minor: str) -> Part:
        is_amount = self.currency is not None and minor.isdecimal()
        return Part(self.language.money(int(minor), self.currency or "") if is_amount else "")


_Reading: TypeAlias = Callable[[str, Reader], Iterator[Part]]


def details_of(row: Mapping[str, Any], reader: Reader) -> list[Part]:
    """Return what an entry of the audit, or an event of the book, says besides its action."""
    read = _event if row.get("is_event") else _READINGS.get(row["action"], _plain)
    return [part for part in read(row["detail"], reader) if part.text]


def _plain(detail: str, reader: Reader) -> Iterator[Part]:
    yield reader.word(detail)


def _event(detail: str, reader: Reader) -> Iterator[Part]:
    moved = _MOVED.fullmatch(detail)
    if moved is None:
        yield reader.word(detail)
    else:
        at, reason = moved.groups(default="")
        yield reader.say(N_("before: %(when)s"), when=_moment(datetime.fromisoformat(at), reader))
        yield reader.word(reason)


def _attendance(detail: str, reader: Reader) -> Iterator[Part]:
    act, _, code = detail.partition(" ")
    yield reader.say(ACTS[act]) if act in ACTS else reader.word(act)
    yield reader.word(code)


def _undone(detail: str, reader: Reader) -> Iterator[Part]:
    yield (
        reader.say(N_("three minutes were over, or more was recorded")) if detail == "too_late" else reader.word(detail)
    )


def _nothing(detail: str, reader: Reader) -> Iterator[Part]:  # noqa: ARG001 - ids say nothing to people
    yield from ()


def _ask(detail: str, reader: Reader) -> Iterator[Part]:
    found = _ASK.fullmatch(detail)
    kind, code, reason = found.groups(default="") if found else (detail, "", "")
    yield reader.say(KINDS[kind]) if kind in KINDS else Part(kind, is_typed=True)
    yield reader.money(code) if code.isdecimal() else reader.word(code)
    yield Part(f"“{reason}”" if reason else "", is_typed=True)


def _refund(detail: str, reader: Reader) -> Iterator[Part]:
    minor, _, reference = detail.partition(" ")
    yield reader.money(minor) if minor.isdecimal() else reader.word(minor)
    yield Part(reference, is_typed=True)


def _shifts(detail: str, reader: Reader) -> Iterator[Part]:
    code, _, rest = detail.partition("; ")
    yield reader.word(code)
    ended = re.search(r"ended ([\d, ]+)", rest)
    if ended:
        yield reader.say(N_("shifts ended: %(count)s"), count=len(ended[1].strip(", ").split(",")))
    for weekday, starts, ends, minutes, hours in _SHIFT.findall(rest):
        slots = reader.say(N_("slots of %(count)s min"), count=minutes).text
        share = f", {share_words(reader.language, int(hours))}" if hours else ""
        yield Part(f"{reader.language.weekday(int(weekday))} {starts}–{ends}, {slots}{share}")


def _leave(detail: str, reader: Reader) -> Iterator[Part]:
    code, _, during = detail.partition("; ")
    yield reader.word(code)
    instants = [datetime.fromisoformat(text) for text in re.findall(r"\d{4}-[\dT:.-]+Z", during)]
    yield Part(" – ".join(_moment(at, reader) for at in instants))


def _moment(at: datetime, reader: Reader) -> str:
    return f"{reader.language.long_date(at, reader.zone)}, {reader.language.clock(at, reader.zone)}"


def _provider(detail: str, reader: Reader) -> Iterator[Part]:
    name, _, fee = detail.rpartition("; fee ")
    minor, _, funding = fee.partition(" ")
    yield Part(name, is_typed=True)
    yield reader.money(minor)
    yield reader.word(funding)


def _service(detail: str, reader: Reader) -> Iterator[Part]:
    found = _SERVICE.fullmatch(detail)
    name, minor, minutes, preparation = found.groups(default="") if found else (detail, "", "", "")
    yield Part(name, is_typed=True)
    yield reader.money(minor)
    if minutes:
        yield reader.say(N_("%(count)s min"), count=minutes)
    yield Part(preparation, is_typed=True)


def _closed_service(detail: str, reader: Reader) -> Iterator[Part]:
    # Entries of earlier releases have a number there.
    yield from (_number if detail.isdecimal() else _typed)(detail, reader)


def _terms(detail: str, reader: Reader) -> Iterator[Part]:
    *name, hours, percents, amounts = ["", "", *detail.split("; ")] if detail.count("; ") < 2 else detail.split("; ")
    yield Part("; ".join(name), is_typed=True)
    columns = hours.removesuffix("h").split(","), percents.removesuffix("%").split(","), amounts.split(",")
    steps = [step for step in zip_longest(*columns, fillvalue="-") if step[0]]
    for before, percent, minor in steps:
        kept = reader.money(minor).text or minor if percent in ("", "-") else f"{percent} %"
        yield reader.say(N_("cancelled less than %(hours)s h before: %(kept)s kept"), hours=before, kept=kept)
    if not steps:
        yield reader.say(N_("all is refunded until it begins"))


def _no_shows(detail: str, reader: Reader) -> Iterator[Part]:
    times, _, months = detail.partition(" ")
    if times == "0":
        yield reader.say(N_("nothing follows"))
    else:
        yield reader.say(N_("after %(times)s: online payment only, for %(months)s months"), times=times, months=months)


def _search(detail: str, reader: Reader) -> Iterator[Part]:
    who, _, action = f" {detail}".rpartition(" ")
    yield Part(f"{who} {action}".strip() if action not in ACTIONS else who.strip(), is_typed=True)
    if action in ACTIONS:
        yield reader.say(ACTIONS[action])


def _breach(detail: str, reader: Reader) -> Iterator[Part]:
    number, _, kind = detail.partition(" ")
    yield reader.say(N_("number %(number)s"), number=number)
    if kind:
        yield reader.word(kind)


def _number(detail: str, reader: Reader) -> Iterator[Part]:
    yield reader.say(N_("number %(number)s"), number=detail.removeprefix("key "))


def _booked(detail: str, reader: Reader) -> Iterator[Part]:
    if detail:
        yield reader.say(N_("appointments: %(count)s"), count=detail.removesuffix(" booked"))


def _book(detail: str, reader: Reader) -> Iterator[Part]:
    code, _, reason = detail.partition(": ")
    yield reader.word(code)
    yield Part(reason, is_typed=True)


def _typed(detail: str, reader: Reader) -> Iterator[Part]:  # noqa: ARG001 - a reading like the others
    yield Part(detail, is_typed=True)


_READINGS: dict[str, _Reading] = {
    **dict.fromkeys(("change_booking", "ask_change", "see_ask", "confirm_ask", "refuse_ask", "ask_over"), _ask),
    **dict.fromkeys(("retry_refund", "record_transfer"), _refund),
    **dict.fromkeys(("set_photo", "remove_photo", "see_patient"), _nothing),
    **dict.fromkeys(("book", "walk_in", "overbook"), _book),
    "record_attendance": _attendance,
    "undo_attendance": _undone,
    **dict.fromkeys(("add_provider", "change_provider"), _provider),
    **dict.fromkeys(("see_audit", "export_audit"), _search),
    **dict.fromkeys(("see_breach", "note_breach", "add_to_breach"), _breach),
    **dict.fromkeys(("add_key", "revoke_key"), _number),
    **dict.fromkeys(("add_clinic", "change_clinic", "add_picture", "change_picture", "add_passkey"), _typed),
    **dict.fromkeys(("look_at_case", "close_case"), _typed),
    **dict.fromkeys(("add_payment_account", "assign_payment_account", "remove_payment_account"), _typed),
    "change_shifts": _shifts,
    **dict.fromkeys(("add_leave", "remove_leave"), _leave),
    "put_service": _service,
    "close_service": _closed_service,
    "set_terms": _terms,
    "set_no_show_rule": _no_shows,
    "see_in_the_way": _booked,
}
"""By the action; of others it is one word, or none."""
