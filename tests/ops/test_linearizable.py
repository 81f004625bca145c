"""The checker of slots' histories: against one that tries every order, and on histories with one false answer."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthplus_bench.linearizable import Kind, Step, TooManyOrders, unexplained

HOLD = 5.0


def tries_every_order(  # noqa: C901
    steps: list[Step],
) -> bool:
    """Return whether any order of the steps is possible, with no cleverness: by trying them one after the other."""

    def goes_on(  # noqa: C901
        left: list[Step], booking: str, phase: str, until: float, now: float
    ) -> bool:
        if not any(step.is_sure for step in left):
            return True
        if phase == "held" and goes_on(left, "", "free", math.inf, max(now, until)):
            return True
        for step in left:
            at = max(now, step.earliest)
            if at > step.latest:
                continue
            rest = [other for other in left if other is not step]
            same = booking == step.booking_id
            match step.kind, phase:
                case "take", "free":
                    after = (step.booking_id, "held", step.until)
                case "book_late", "free":
                    after = (step.booking_id, "booked", math.inf)
                case "extend", "held" if same:
                    after = (booking, "held", step.until)
                case "book", "held" if same:
                    after = (booking, "booked", math.inf)
                case ("release" | "leave", "held") | ("cancel", "booked") if same:
                    after = ("", "free", math.inf)
                case ("seen_booked", "booked") | ("seen_unbooked", "free" | "held"):
                    after = (booking, phase, until)
                case _:
                    continue
            if goes_on(rest, *after, at):
                return True
        return False

    return goes_on(steps, "", "free", math.inf, -math.inf)


@st.composite
def any_steps(draw: st.DrawFn) -> list[Step]:
    """Return a few steps that may or may not go together."""
    kinds: list[Kind] = [
        "take", "take", "extend", "book", "book_late", "release", "cancel", "leave", "seen_booked", "seen_unbooked"
    ]  # fmt: skip
    steps = []
    for _ in range(draw(st.integers(1, 6))):
        earliest = draw(st.integers(0, 8))
        latest = earliest + draw(st.integers(0, 5))
        until = draw(st.sampled_from([earliest + 1, latest + 2, math.inf]))
        kind, booking = draw(st.sampled_from(kinds)), draw(st.sampled_from("ab"))
        steps.append(Step(kind, booking, earliest, latest, until, draw(st.booleans() | st.just(True))))
    return steps


@st.composite
def true_histories(draw: st.DrawFn) -> list[tuple[float, Step]]:
    """Return what happened to a slot in this order, each with its instant, at which its answer was told."""
    now, booking, phase, until = 0.0, "", "free", math.inf
    history: list[tuple[float, Step]] = []
    for number in range(draw(st.integers(1, 25))):
        now += draw(st.sampled_from([0.25, 0.5, 1.0, 3.0]))
        if phase == "held" and now >= until:
            phase, booking = "free", ""
        choices: list[Kind] = {
            "free": ["take", "take", "book_late", "seen_unbooked"],
            "held": ["seen_unbooked", "extend", "book", "release", "leave"],
            "booked": ["seen_booked", "cancel"],
        }[phase]  # type: ignore[assignment]
        kind = draw(st.sampled_from(choices))
        if kind in ("take", "extend"):
            booking, phase, until = booking or f"b{number}", "held", now + HOLD
        elif kind in ("book", "book_late"):
            booking, phase = booking or f"b{number}", "booked"
        step = Step(kind, booking, now, now, until if phase == "held" else math.inf)
        if kind in ("release", "leave", "cancel"):
            booking, phase = "", "free"
        history.append((now, step))
    return history


def widened(data: st.DataObject, history: list[tuple[float, Step]]) -> list[Step]:
    """Return the steps as clients see them: each some time around its instant, some without a certain answer."""
    seen = []
    for _, step in history:
        before, after = data.draw(st.sampled_from([0.0, 0.3, 2.0])), data.draw(st.sampled_from([0.0, 0.3, 2.0]))
        seen.append(replace(step, earliest=step.earliest - before, latest=step.latest + after))
        if data.draw(st.integers(0, 5)) == 0:
            maybe = Step("take", f"maybe {step.earliest}", step.earliest - before, step.latest + 100, is_sure=False)
            seen.append(replace(maybe, until=maybe.earliest + HOLD))
    return seen


@settings(max_examples=400, deadline=None)
@given(any_steps())
def test_it_says_what_trying_every_order_says(steps: list[Step]) -> None:
    assert (unexplained(steps) is None) == tries_every_order(steps)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_is_true_is_explained_whatever_ran_beside_it(data: st.DataObject) -> None:
    history = data.draw(true_histories())
    assert unexplained([step for _, step in history]) is None
    assert unexplained(widened(data, history)) is None


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_two_who_have_it_at_once_are_found(data: st.DataObject) -> None:
    # A refusal is turned into a hold while another is sure to have the slot: before its end, and it is used afterwards.
    history = data.draw(true_histories())
    taken = False
    places = []
    for number, (_, step) in enumerate(history):
        if step.kind in ("seen_unbooked", "seen_booked") and taken and number + 1 < len(history):
            following = history[number + 1][1].kind
            if following in ("extend", "book", "release", "leave", "cancel") or step.kind == "seen_booked":
                places.append(number)
        taken = step.kind in ("take", "extend", "book", "book_late") or (taken and step.kind.startswith("seen"))
    if not places:
        return
    number = data.draw(st.sampled_from(places))
    now, step = history[number]
    false = [one for _, one in history]
    false[number] = replace(step, kind="take", booking_id="another", until=now + HOLD)
    assert unexplained(false) is not None


@pytest.mark.parametrize(
    ("steps", "is_explained"),
    [
        # A hold is over at its time, at the earliest: another may have the slot then, and not a moment before.
        ([Step("take", "a", 0, 1, 5), Step("take", "b", 4, 5.5, 10)], True),
        ([Step("take", "a", 0, 1, 5), Step("take", "b", 4, 4.9, 10)], False),
        # It was paid for in time or not at all; whether it was, decides whether another may have it.
        ([Step("take", "a", 0, 1, 5), Step("book", "a", 2, 9, is_sure=False), Step("take", "b", 7, 8, 13)], True),
        ([Step("take", "a", 0, 1, 5), Step("book", "a", 2, 9), Step("take", "b", 7, 8, 13)], False),
        # "Booked" was said of a slot that nobody had booked.
        ([Step("take", "a", 0, 1, 5), Step("seen_booked", "", 2, 3)], False),
        ([Step("take", "a", 0, 1, 5), Step("book", "a", 2, 9), Step("seen_booked", "", 2, 3)], True),
        # What may have been done once was not done twice.
        ([Step("take", "?", 0, 99, 1, is_sure=False), Step("book", "?", 2, 3)], True),
        (
            [
                Step("take", "?", 0, 99, 1, is_sure=False), Step("book", "?", 2, 3), Step("cancel", "?", 4, 5),
                Step("book", "?", 6, 7),
            ],
            False,
        ),
    ],
)  # fmt: skip
def test_some_histories(steps: list[Step], is_explained: bool) -> None:
    assert (unexplained(steps) is None) == is_explained
    assert tries_every_order(steps) == is_explained


def test_an_answer_before_the_question_is_no_history() -> None:
    assert unexplained([Step("take", "a", 5, 4)]) is not None


def test_a_long_history_takes_no_time() -> None:
    steps = []
    for number in range(1000):
        at = number * 1.0
        steps += [Step("take", str(number), at - 3, at + 0.5, at + 100), Step("release", str(number), at, at + 2)]
        steps.append(Step("seen_unbooked", "", at - 2, at + 2))
        if number % 20 == 0:
            steps.append(Step("book_late", f"?{number}", at, at + 120, is_sure=False))
    assert unexplained(steps) is None


def test_too_many_orders_are_no_verdict() -> None:
    steps = [Step("take", str(number), 0, 100, 0) for number in range(40)]
    with pytest.raises(TooManyOrders):
        unexplained([*steps, Step("seen_booked", "", 50, 60)])
