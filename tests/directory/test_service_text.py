"""What is written of services and terms says what was meant, and nothing else is taken for it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from healthplus.directory.fees import amount_text, read_fee
from healthplus.directory.ladder import HOURS_MAX, STEPS_MAX, Step, ladder_text, parse_ladder
from healthplus.directory.service_text import Service, check_service, parse_services, service_text
from healthplus.directory.weekdays import days_text, in_bits, parse_days
from healthplus.errors import BadInput
from healthplus.money import FEE_MINOR_MAX
from healthplus.text import is_name
from healthplus.text import name as normal_name

CURRENCIES = st.sampled_from(["INR", "JPY", "KWD", "UYW"])
FEES = st.integers(0, FEE_MINOR_MAX)
NAMES = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="=;") | st.just(" "), min_size=1, max_size=30
)


@st.composite
def services(draw: st.DrawFn) -> Service:
    is_test = draw(st.booleans())
    fee_minor, length_minutes = draw(FEES), draw(st.integers(0 if is_test else 1, 720))
    return Service(
        draw(NAMES.filter(lambda name: is_name(name, 200) and normal_name(name) == name)),
        is_test,
        fee_minor,
        length_minutes,
        draw(st.sampled_from([None, "clinic", "online" if fee_minor else "free"])),
        draw(st.integers(0, 240 if length_minutes else 0)),
        draw(st.integers(1, 144)),
        draw(st.integers(1, 127)),
        draw(st.booleans()),
    )


@settings(max_examples=50)
@given(st.lists(services(), unique_by=lambda service: service.name, max_size=4), CURRENCIES)
def test_a_service_is_read_as_it_was_written(offered: list[Service], currency: str) -> None:
    for is_test in (False, True):
        of_kind = tuple(check_service(service, currency) for service in offered if service.is_test == is_test)
        text = "; ".join(service_text(service, currency) for service in of_kind)
        assert parse_services(text, currency, is_test=is_test) == of_kind


@given(st.text(st.sampled_from("ab1290 =;/.:,-%h") | st.characters(), max_size=40), CURRENCIES, st.booleans())
def test_any_text_is_read_or_refused(text: str, currency: str, is_test: bool) -> None:
    with contextlib.suppress(BadInput):
        read = parse_services(text, currency, is_test=is_test)
        written = "; ".join(service_text(service, currency) for service in read)
        assert parse_services(written, currency, is_test=is_test) == read
    with contextlib.suppress(BadInput):
        steps = parse_ladder(text, currency)
        assert parse_ladder(ladder_text(steps, currency), currency) == steps


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Root canal=4500/45", Service("Root canal", False, 450000, 45)),
        ("Cleaning = 800 / 30 Clinic every=3", Service("Cleaning", False, 80000, 30, "clinic", 0, 3)),
        ("A / B 12=0.05/1 DAYS=mon,Wed-thu buffer=5", Service("A / B 12", False, 5, 1, None, 5, 1, 0b1101)),
        ("Talk=0/720 free more_a_day", Service("Talk", False, 0, 720, "free", allows_more_a_day=True)),
    ],
)
def test_services(text: str, meant: Service) -> None:
    assert parse_services(text, "INR", is_test=False) == (meant,)


@given(st.integers(1, 127))
def test_days(bits: int) -> None:
    assert in_bits(parse_days(days_text(bits))) == bits
    assert days_text(0b11111) == "Mon-Fri"
    assert days_text(0b1000011) == "Mon,Tue,Sun"


@given(FEES, CURRENCIES)
def test_amounts(amount_minor: int, currency: str) -> None:
    assert read_fee(amount_text(amount_minor, currency), currency) == amount_minor


@st.composite
def ladders(draw: st.DrawFn) -> tuple[Step, ...]:
    hours = draw(st.lists(st.integers(1, HOURS_MAX), unique=True, max_size=STEPS_MAX))
    is_part = draw(st.booleans())
    kept = draw(st.lists(st.integers(0, 100) if is_part else FEES, min_size=len(hours), max_size=len(hours)))
    return tuple(
        Step(hour, one if is_part else None, None if is_part else one)
        for hour, one in zip(sorted(hours, reverse=True), sorted(kept), strict=True)
    )


@given(ladders(), CURRENCIES)
def test_a_ladder_is_read_as_it_was_written(steps: tuple[Step, ...], currency: str) -> None:
    assert parse_ladder(ladder_text(steps, currency), currency) == steps


@given(ladders(), st.data())
def test_two_steps_that_changed_places_are_no_ladder(steps: tuple[Step, ...], data: st.DataObject) -> None:
    assume(len(steps) > 1)
    first, second = data.draw(st.lists(st.integers(0, len(steps) - 1), min_size=2, max_size=2, unique=True))
    changed = list(steps)
    changed[first], changed[second] = changed[second], changed[first]
    with pytest.raises(BadInput):
        parse_ladder(ladder_text(changed, "INR"), "INR")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'' does not read like '24h:50%'"),
        ("24h", "'24h' does not read like"),
        ("24h:50%,", "'' does not read like"),
        ("24h:-5%", "'24h:-5%' does not read like"),
        (
            "24h:0%, 24h:50%",
            "24h comes after 24h; write the step that is longest before the visit first, and each once",
        ),
        ("2h:100%, 24h:0%", "24h comes after 2h"),
        ("24h:50%, 2h:20%", "20% at 2h is less than 50% at 24h; the closer the visit, the more is kept"),
        ("24h:200, 2h:199.99", "199.99 at 2h is less than 200 at 24h"),
        ("24h:50%, 2h:500", "percents and amounts cannot be mixed"),
        ("24h:101%", "a part is from 0% to 100%"),
        ("0h:50%", "hours are from 1 to 8784"),
        ("8785h:50%", "hours are from 1 to 8784"),
        ("24h:1000000.01", "'1000000.01': between 0 and 1000000"),
        ("24h:0.001", "with at most two decimals"),
        ("24h:1.2.3", "'1.2.3' is no amount"),
        (", ".join(f"{hours}h:0%" for hours in range(STEPS_MAX + 1, 0, -1)), "21 steps are too many; terms have 20 at"),
    ],
)
def test_what_is_no_ladder(text: str, reason: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_ladder(text, "INR")
    assert reason in str(refused.value)


def test_none_takes_terms_away() -> None:
    assert parse_ladder(" None ", "INR") == ()
