"""Of what the desk is refused it is told why, in its language and with the time from which it can be had."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest

from healthplus.booking.outcomes import AcceptRefused, AnswerRefused, HoldRefused, JoinRefused, MoveRefused
from healthplus.web.desk.refused import CANNOT, WITH_REASON, WORDS, refusal
from healthplus.web.languages import ENGLISH, HINDI, Language

ZONE = "Asia/Kolkata"
AT = datetime(2026, 11, 24, 4, 50, tzinfo=UTC)


def codes_of(alias: object) -> set[str]:
    """Return the codes of a type of outcomes."""
    parts = get_args(alias)
    return set().union(*map(codes_of, parts)) if parts else {str(alias)}


@pytest.mark.parametrize("language", [ENGLISH, HINDI], ids=lambda language: language.code)
def test_each_code_has_its_words(language: Language) -> None:
    codes = codes_of(HoldRefused | JoinRefused | AcceptRefused | AnswerRefused | MoveRefused)
    assert {"lapses", "offer_over", "slot_held"} <= codes
    assert codes <= WORDS.keys()
    assert WITH_REASON.keys() <= WORDS.keys()
    for code in (*WORDS, "new_to_this_release"):
        text = refusal({"code": code, "retry_at": AT, "limit_max": 3}, ZONE, language, WITH_REASON)
        assert text
        assert "%" not in text
        assert "<" not in text
        assert (text == language.gettext(CANNOT)) == (code not in WORDS)
        assert refusal({"code": code, "retry_at": None, "limit_max": None}, ZONE, language)


def test_from_when_it_can_be_had_is_what_the_answer_says() -> None:
    for code in ("lapses", "hold_budget", "turns_used", "online_only"):
        assert "Tue 24 Nov, 10:20 am" in refusal({"code": code, "retry_at": AT, "limit_max": 3}, ZONE, ENGLISH), code
