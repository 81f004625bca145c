"""Read and write what a provider offers: `Root canal=4500/45 online buffer=10 every=3 days=Mon-Fri more_a_day`."""

from __future__ import annotations

import re

import msgspec

from healthplus.directory.fees import FUNDINGS, amount_text, read_fee, require_funding
from healthplus.directory.weekdays import ALL_DAYS, days_text, in_bits, parse_days
from healthplus.errors import BadInput
from healthplus.text import is_name, number
from healthplus.text import name as normal_name

ROW_SERVICES_MAX = 1000
"""How many one text may name."""
NAME_MAX = 200
LENGTH_MINUTES_MAX, BUFFER_MINUTES_MAX = 720, 240
_OPTIONS = "online, clinic or free, buffer=MINUTES, every=SLOTS, days=Mon-Fri or more_a_day"


class Service(msgspec.Struct, frozen=True):
    """What a provider offers, as a row of directory.service. `funding` None: as visits there are paid.

    `fee_minor` is in the smallest unit of a currency that goes with it; `weekdays` are bits, Monday's the lowest.
    `preparation` is what a patient has to do before it; None leaves what is known, and "" takes it away.
    """

    name: str
    is_test: bool
    fee_minor: int
    length_minutes: int = 0
    funding: str | None = None
    buffer_minutes: int = 0
    starts_every: int = 1
    weekdays: int = ALL_DAYS
    allows_more_a_day: bool = False
    preparation: str | None = None


def check_service(service: Service, currency: str) -> Service:
    """Return a service that can be offered; raises BadInput when it cannot."""
    if (
        not is_name(service.name, NAME_MAX)
        or service.name != normal_name(service.name)
        or set("=;") & set(service.name)
    ):
        raise BadInput(f"a name has 1 to {NAME_MAX} characters, none of them = or ;")
    if not service.is_test and service.length_minutes == 0:
        raise BadInput(
            f"a visit lasts 1 to {LENGTH_MINUTES_MAX} minutes, not 0; only a test may take no time of its own"
        )
    for what, value, low, high in (
        ("a length", service.length_minutes, 0, LENGTH_MINUTES_MAX),
        ("a buffer", service.buffer_minutes, 0, BUFFER_MINUTES_MAX),
        ("every", service.starts_every, 1, 144),
    ):
        if not low <= value <= high:
            raise BadInput(f"{what} is from {low} to {high}, not {value}")
    if service.buffer_minutes and service.length_minutes == 0:
        raise BadInput("what takes no time of its own has no buffer; say how many minutes it takes, or no buffer")
    if service.funding is not None:
        require_funding(service.fee_minor, service.funding, currency)
    return service


def parse_services(text: str, currency: str, *, is_test: bool) -> tuple[Service, ...]:
    """Return the services of a text, separated by semicolons; raises BadInput, naming the first that does not parse."""
    parts = list(dict.fromkeys(part for each in text.split(";") if (part := normal_name(each))))
    if len(parts) > ROW_SERVICES_MAX:
        raise BadInput(f"{len(parts)} are too many; {ROW_SERVICES_MAX} can be in one row")
    services = []
    for part in parts:
        try:
            services.append(_parse(part, currency, is_test))
        except BadInput as problem:
            raise BadInput(f"{part[:60]!r}: {problem}") from None
    return tuple(services)


def service_text(service: Service, currency: str) -> str:
    """Return the text of a service; parse_services reads it."""
    length = f"/{service.length_minutes}" if service.length_minutes else ""
    options = [
        service.funding or "",
        f"buffer={service.buffer_minutes}" if service.buffer_minutes else "",
        f"every={service.starts_every}" if service.starts_every != 1 else "",
        f"days={days_text(service.weekdays)}" if service.weekdays != ALL_DAYS else "",
        "more_a_day" if service.allows_more_a_day else "",
    ]
    return " ".join(filter(None, (f"{service.name}={amount_text(service.fee_minor, currency)}{length}", *options)))


def _parse(part: str, currency: str, is_test: bool) -> Service:
    example = "'CBC=260' or 'MRI Brain=8880/45'" if is_test else "'Root canal=4500/45'"
    name, _, rest = (piece.strip() for piece in part.partition("="))
    found = re.fullmatch(r"([^/ ]+)(?: ?/ ?([^/ ]*))?((?: \S+)*)", rest)
    if not name or found is None:
        raise BadInput(f"expected name, fee and minutes, such as {example}")
    try:
        fee_minor = read_fee(found[1], currency)
    except BadInput as problem:
        raise BadInput(f"fee {problem}") from None
    if found[2] is None and not is_test:
        raise BadInput(f"how long it takes is missing; expected minutes after the fee, such as {example}")
    length_minutes = _number("minutes", "0" if found[2] is None else found[2])
    return check_service(_with_options(Service(name, is_test, fee_minor, length_minutes), found[3].split()), currency)


def _with_options(service: Service, words: list[str]) -> Service:
    options: dict[str, object] = {}
    for word in words:
        key, _, value = word.partition("=")
        given: tuple[str, object]
        match key.lower():
            case "buffer":
                given = "buffer_minutes", _number(key, value)
            case "every":
                given = "starts_every", _number(key, value)
            case "days":
                given = "weekdays", in_bits(parse_days(value))
            case "more_a_day" if key == word:
                given = "allows_more_a_day", True
            case _ if word.lower() in FUNDINGS:
                given = "funding", word.lower()
            case _:
                raise BadInput(f"{word!r} is none of what can follow: {_OPTIONS}")
        if given[0] in options:
            raise BadInput(f"{word!r} is said twice, or contradicts what is before it")
        options[given[0]] = given[1]
    return msgspec.structs.replace(service, **options)


def _number(what: str, text: str) -> int:
    digits = number(text)
    if not re.fullmatch(r"\d{1,4}", digits, re.ASCII):
        raise BadInput(f"{what} {text!r}: expected a whole number")
    return int(digits)
