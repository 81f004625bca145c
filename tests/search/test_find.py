"""What search finds, in which order and free from which day, against a plain look at every row and every slot."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from healthplus.search.find import Order
from tests.search.trial import NIGHT, WORDS, Trial, take_too_far

FIND = "SELECT * FROM search.find(jsonb_populate_record(NULL::search.criteria, $1), $2, $3)"
COUNT = "SELECT search.count_found(jsonb_populate_record(NULL::search.criteria, $1), $2)"
# From the quarter of an hour in which it is, in minutes; hours of some day soon, where a book and its template tell
# different things, more often than others.
QUARTERS = st.integers(-8, 800).map(lambda count: 15 * count)
HOURS = st.builds(
    lambda begins, length: {"starts_from": begins, "starts_before": begins + length},
    st.integers(0, 4 * 72).map(lambda count: 15 * count),
    st.sampled_from([15, 30, 60, 180]),
)
WINDOWS = st.one_of(
    st.just({}),
    HOURS,
    st.fixed_dictionaries({}, optional={"starts_from": QUARTERS, "starts_before": QUARTERS}),
    HOURS.map(lambda ends: {"starts_before": ends["starts_before"]}),
)
LEXEMES = st.lists(
    st.sampled_from(
        [
            *(f"'{word}'" for word in [*WORDS, "main", "clinic"]),
            "'speciality:1'",
            "'speciality:2'",
            "'type:doctor'",
            "'type:lab'",
            "'city:1'",
            "'city:3'",
            "'pin:411001'",
            "'clinic:2'",
            "'service:4'",
        ]
    ),
    min_size=1,
    max_size=2,
).map(" & ".join)
WANTED = st.fixed_dictionaries(
    {"ordering": st.sampled_from([order.value for order in Order])},
    optional={
        "terms": LEXEMES,
        "name_terms": st.sampled_from([f"'n:{word}'" for word in WORDS]),
        "city_id": st.integers(1, 4),
        "radius_m": st.sampled_from([1.0, 3000.0, 9000.0, 200_000.0]),
        "fee_min": st.sampled_from([0, 300, 301]),
        "fee_max": st.sampled_from([0, 300, 699]),
        "practising_since_max": st.sampled_from([1990, 2010]),
        "rating_min": st.sampled_from([1.0, 3.0, 4.5]),
        "gender": st.sampled_from(["female", "male", "other"]),
        "language": st.sampled_from(["hindi", "marathi"]),
        "accepts_new_patients": st.booleans(),
        "groups": st.sampled_from(
            [[[1]], [[2]], [[4]], [[4, 5]], [[2, 1, 3]], [[1], [2]], [[1, 3], [2]], [[1], [2], [3]]]
        ),
    },
)


def compare(trial: Trial, wanted: dict[str, Any], page: int) -> None:
    center = (18.5, 73.8)
    groups = wanted.get("groups", [])
    if wanted["ordering"].startswith("price") and groups:
        # As parse_request has it.
        offered = ["(" + " | ".join(f"'service:{type_id}'" for type_id in group) + ")" for group in groups]
        wanted = wanted | {"terms": " & ".join([*wanted.get("terms", "").split(" & "), *offered]).removeprefix(" & ")}
    located = "radius_m" in wanted or wanted["ordering"] == "distance_asc"
    asked = wanted | ({"latitude": center[0], "longitude": center[1]} if located else {})
    asked["service_type_ids"] = [type_id for group in groups for type_id in group] or None
    asked["service_groups"] = [number for number, group in enumerate(groups, start=1) for _ in group] or None
    if (ends := wanted.get("starts_before")) is not None and ends <= wanted.get("starts_from", trial.now):
        return  # refused before it comes to search.find
    expected = trial.expected(wanted, center if located else None)
    rows = trial.run(trial.db.fetch(FIND, asked, page * 5, 5))
    found = [(row["provider_id"], row["clinic_id"], row["first_free_on"]) for row in rows]
    assert found == expected[page * 5 : page * 5 + 5], (trial.now, wanted)
    count_max = (3, 1000)[page % 2]
    counted = trial.run(trial.db.fetch_value(COUNT, asked, count_max))
    assert counted == min(len(expected), count_max), (trial.now, wanted)
    trial.found += len(found)


def few(count: int) -> settings:
    # What an example leaves in the books is there for the next: none can be tried again by itself.
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def ask_at_random(trial: Trial, times: int) -> None:
    @few(times)
    @given(
        WANTED,
        WINDOWS,
        st.integers(0, 2),
        st.sampled_from(["nothing"] * 12 + ["book", "book", "time", "leave", "cancel"]),
    )
    def ask(wanted: dict[str, Any], window: dict[str, int], page: int, first: str) -> None:
        if first != "nothing":
            trial.happen(first)
        quarter = trial.now.replace(minute=trial.now.minute // 15 * 15, second=0)
        compare(trial, wanted | {end: quarter + timedelta(minutes=count) for end, count in window.items()}, page)

    ask()


@pytest.mark.timeout(120)
def test_search_finds_what_a_look_at_every_slot_finds(trial: Trial) -> None:
    ask_at_random(trial, 200)
    assert trial.found > 200


def test_each_wish_alone_and_each_order(trial: Trial) -> None:
    trial.happen("book")
    alone: list[dict[str, Any]] = [{"ordering": order.value} for order in Order]
    samples: dict[str, Any] = {
        "terms": "'rao' & 'speciality:1'",
        "name_terms": "'n:ruby'",
        "own_ids": [3, 11, 17],
        "city_id": 1,
        "radius_m": 9000.0,
        "starts_from": NIGHT + timedelta(days=2),
        "starts_before": NIGHT + timedelta(hours=15),
        "fee_min": 300,
        "fee_max": 300,
        "practising_since_max": 2010,
        "rating_min": 3.0,
        "gender": "female",
        "language": "hindi",
        "accepts_new_patients": False,
        "groups": [[4]],
    }
    alone += [{"ordering": "best", name: value} for name, value in samples.items()]
    several = ([[1]], [[4]], [[4, 5]], [[1], [2]], [[1, 3], [2]])
    alone += [{"ordering": order.value, "groups": groups} for order in Order for groups in several]
    alone += [{"ordering": "price_asc", "groups": [[1]], name: samples[name]} for name in ("fee_min", "fee_max")]
    for wanted in alone:
        before = trial.found
        compare(trial, wanted, 0)
        assert trial.found > before, wanted  # finding nothing shows nothing


BROKEN = {
    "scarce days are trusted": ("doubt", "scarce AND (", "false AND ("),
    "what is past counts": ("find", "floor(extract(epoch FROM now_at) / 60)::integer + 1", "0"),
    "hours of the last day are not asked of the book": (
        "find_statement",
        "AND search.first_free_day(provider_id, clinic_id, $8, $9, $10, NULL) IS NOT NULL",
        "",
    ),
    "any of a group is the cheapest": ("offer", "known_fee NULLS LAST,", ""),
    "changing clocks are not looked at": ("doubt", "NOT regular OR", "false OR"),
}
"""Shortcuts taken too far: in which function of search what is replaced by what; the rarer ones take long to be met."""
SLOW = (pytest.mark.long, pytest.mark.timeout(300))


@pytest.mark.breaks_invariants
@pytest.mark.parametrize("name", [*list(BROKEN)[:2], *(pytest.param(name, marks=SLOW) for name in list(BROKEN)[2:])])
def test_a_shortcut_taken_too_far_is_noticed(trial: Trial, name: str) -> None:
    take_too_far(trial, *BROKEN[name])
    with pytest.raises(AssertionError, match="assert"):
        ask_at_random(trial, 1000)
