"""What the words of a need say on pages: the gender asked for, and what it is called in the reader's language."""

from __future__ import annotations

from msgspec import structs

from healthplus.search.vocabulary import VOCABULARY, gender_asked, plain_words
from healthplus.web.pages.home import known_names
from healthplus.web.pages.rendering import language_of
from healthplus.web.pages.searches import Filters, Search
from healthplus.web.services import AnyRequest


def with_gender(need: str, filters: Filters) -> tuple[str, Filters]:
    """Return a need without the word for a doctor's gender, and filters with it: `lady doctor` is a filter alone."""
    gender, rest = gender_asked(need)
    if not gender:
        return need, filters
    if VOCABULARY.dropped.issuperset(plain_words(rest)):
        return "", structs.replace(filters, gender=gender, type="doctor")
    return rest, structs.replace(filters, gender=gender)


async def heading(request: AnyRequest, search: Search) -> str:
    """Return what a search is for: a word for a speciality or a symptom in the reader's language, if not English."""
    language = language_of(request)
    needed = search.needed(language)
    if not language.prefix or not needed.isascii():
        return needed
    words = plain_words(search.need)
    phrases = (" ".join(words), " ".join(word for word in words if word not in VOCABULARY.dropped))
    phrase = next((one for one in phrases if one in VOCABULARY.phrases), None)
    if phrase is None:
        return needed
    meaning = VOCABULARY.phrases[phrase]
    if meaning.is_symptom:
        return needed if meaning.urgent == "mind" else language.known_name("symptom", phrase)
    _, specialities = await known_names(request)
    meant = (one["name"] for one in specialities if one["slug"] in meaning.specialities)
    return language.known_name("speciality", next(meant, needed))
