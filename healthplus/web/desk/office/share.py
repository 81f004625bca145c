"""Who may book the times of a shift, in words."""

from __future__ import annotations

from healthplus.web.languages import Language

RELEASE_HOURS = (0, 1, 2, 4, 12, 24, 48, 72, 168)
"""The choices of how long before a shift begins everybody may book its times, in hours; 0: never."""


def share_words(language: Language, release_hours: int | None) -> str:
    """Return who may book a shift's times, which are released so many hours before it begins; None: at once."""
    if release_hours is None:
        return language.gettext("everybody, online")
    if release_hours == 0:
        return language.gettext("only the desk")
    return language.ngettext(
        "the desk first, everybody from %(num)d hour before",
        "the desk first, everybody from %(num)d hours before",
        release_hours,
    ) % {"num": release_hours}


def share_choices(language: Language, current: str) -> list[tuple[str, str]]:
    """Return what a form offers, values and words; `current` is among them, where it is a number of hours."""
    hours = sorted(
        {*RELEASE_HOURS, *([int(current)] if current.isascii() and current.isdecimal() and len(current) < 4 else [])}
    )
    return [("", share_words(language, None)), *((str(one), share_words(language, one)) for one in hours)]
