"""Completing a keyword while it is typed."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Controller, get
from litestar.params import QueryParameter
from msgspec import structs

from healthplus.errors import NotFound
from healthplus.search.suggest import LIMIT_MAX, Suggestion, suggest
from healthplus.web.api.problems import PROBLEMS
from healthplus.web.languages import HINDI, Language
from healthplus.web.services import AnyRequest, services


class SuggestController(Controller):
    path = "/suggest"
    tags = ("Search",)

    @get(responses={status: PROBLEMS[status] for status in (400, 404, 503)})
    async def suggest(
        self,
        request: AnyRequest,
        q: Annotated[str, QueryParameter(max_length=200, description="What has been typed so far.")],
        city: Annotated[
            str | None, QueryParameter(max_length=200, description="A city's slug: names only of providers there.")
        ] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX, description="How many at most.")] = LIMIT_MAX,
        language: Annotated[
            Literal["en", "hi"], QueryParameter(description="Of the names of specialities, services and cities.")
        ] = "en",
    ) -> list[Suggestion]:
        """Complete a keyword while it is typed; no sign-in is needed. The list is empty when no name matches."""
        city_id = None
        if city is not None and (city_id := await services(request).browse.city_id(city)) is None:
            raise NotFound(
                f"There is no city with the slug {city!r}; `city` takes one, such as pune, or may be left out."
            )
        found = await suggest(services(request).database, q, city_id, limit)
        return [_named(one, HINDI) for one in found] if language == HINDI.code else found


def _named(one: Suggestion, language: Language) -> Suggestion:
    """Return a suggestion by its name in this language, if it has one; its own name then tells what was matched."""
    text = language.known_name(one.kind, one.text)
    return one if text == one.text else structs.replace(one, text=text, matched=one.matched or one.text)
