"""What a search can be narrowed by and ordered, in words."""

from __future__ import annotations

from datetime import date, timedelta

from healthplus.country import HERE
from healthplus.money import currency_digits
from healthplus.web.languages import N_, Language
from healthplus.web.pages.searches import Filters, Search

_DAYS_OFFERED = 14
_TYPES = {"doctor": N_("Doctors"), "hospital": N_("Hospitals"), "clinic": N_("Clinics"), "lab": N_("Labs")}
_GENDERS = {"female": N_("Women"), "male": N_("Men"), "other": N_("Other genders")}
_STRETCHES = {
    "today": N_("Today"),
    "tomorrow": N_("Tomorrow"),
    "week": N_("Within a week"),
    "weekend": N_("This weekend"),
}
_ORDERS = {
    "best": N_("Recommended"),
    "date": N_("Earliest available"),
    "rating": N_("Highest rated"),
    "price": N_("Lowest fee"),
    "distance": N_("Nearest"),
    "experience": N_("Most experienced"),
}
_SATURDAY = 6  # of ISO's days of the week


def choices(language: Language, search: Search, today: date, *, for_doctors: bool) -> dict[str, list[tuple[str, str]]]:
    """Return what each list of the form has to choose from, and the orders: values and texts.

    `for_doctors`: whether there are doctors among the results, whom people choose by more than they choose a place by.
    """

    def named(texts: dict[str, str]) -> list[tuple[str, str]]:
        return [(name, language.gettext(text)) for name, text in texts.items()]

    days = [(day.isoformat(), language.day(day)) for day in _days(search.filters.day, today)]
    sorts = {*_ORDERS} - {
        *(() if search.is_located else ("distance",)),
        *(() if for_doctors or search.sort == "experience" else ("experience",)),
    }
    return {
        "days": named(_STRETCHES) + days,
        "types": named(_TYPES),
        "genders": named(_GENDERS),
        "languages": _languages(language, search.filters.language),
        "sorts": [one for one in named(_ORDERS) if one[0] in sorts],
    }


def quick_filters(
    language: Language, search: Search, currency: str, today: date, *, for_doctors: bool, is_today_over: bool
) -> list[tuple[str, str]]:
    """Return filters that are one tap away, and not set: their texts, and the addresses of the results with them.

    The next Saturday is among them, when many have time who work all week; `is_today_over`: tomorrow, and not today.
    """
    filters, found = search.filters, []
    if not filters.day:
        soon = "tomorrow" if is_today_over else "today"
        saturday = today + timedelta(days=(_SATURDAY - today.isoweekday() - 1) % 7 + 1)
        found = [(language.gettext(_STRETCHES[soon]), search.but(day=soon).path())]
        found += [(language.weekday(_SATURDAY), search.but(day=saturday.isoformat()).path())]
    if for_doctors and not filters.gender:
        wider = search.but(gender="female")
        found += [(filter_text(language, "gender", wider.filters, currency), wider.path())]
    return found


def _days(chosen: str, today: date) -> list[date]:
    """Return the days to choose from: the next two weeks', and the chosen one if it is later."""
    days = [today + timedelta(days=ahead) for ahead in range(2, _DAYS_OFFERED)]
    if chosen and chosen not in _STRETCHES:
        days = sorted({*days, date.fromisoformat(chosen)})
    return days


def _languages(language: Language, chosen: str) -> list[tuple[str, str]]:
    names = {name.lower(): name for name in (*HERE.spoken, *([chosen] if chosen else []))}
    return sorted(((name, language.known_name("language", name)) for name in names.values()), key=lambda pair: pair[1])


def filter_text(language: Language, name: str, filters: Filters, currency: str) -> str:
    """Return in words what a filter asks for."""
    _ = language.gettext
    match name:
        case "day" if filters.day in _STRETCHES:
            text = _(_STRETCHES[filters.day])
        case "day":
            text = language.day(date.fromisoformat(filters.day))
        case "type":
            text = _(_TYPES[filters.type])
        case "fee":
            text = _("Up to %(fee)s") % {"fee": language.money(filters.fee * 10 ** currency_digits(currency), currency)}
        case "gender":
            text = _(_GENDERS[filters.gender])
        case "language":
            text = _("Speaks %(language)s") % {"language": language.known_name("language", filters.language)}
        case "rating":
            text = f"★ {filters.rating:g}+"
        case "experience":
            years = filters.experience
            text = language.ngettext("%(num)d year or more", "%(num)d years or more", years) % {"num": years}
    return text
