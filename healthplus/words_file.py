"""The owner's own words: a file beside words.toml, whose path HEALTHPLUS_WORDS_FILE has, read once by each process."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

VARIABLE = "HEALTHPLUS_WORDS_FILE"

_Phrase = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
_Slug = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]*\\Z")]


class OwnWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is added to the words of the product, and `not_urgent`: phrases that are no emergency here.

    `abbreviations` are rows of what is one word, the full form first; `specialities` are further names and
    `qualifications`, by the slug of a speciality; `urgent` are phrases, by kind, with the specialities that see to it.
    """

    abbreviations: list[Annotated[list[_Phrase], msgspec.Meta(min_length=2)]] = []
    specialities: dict[_Slug, list[_Phrase]] = {}
    qualifications: dict[_Slug, list[_Phrase]] = {}
    urgent: dict[
        Literal["body", "mind", "violence", "child"], dict[_Phrase, Annotated[list[_Slug], msgspec.Meta(min_length=1)]]
    ] = {}
    not_urgent: list[_Phrase] = []


def read_words_file(path: Path) -> OwnWords:
    """Return the words of a file; raises ValueError, saying what is wrong, where it cannot be read as such."""
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(content, OwnWords)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise ValueError(f"cannot be read as a file of words: {fault}") from fault


def own_words() -> OwnWords:
    """Return the words of this installation's file; of none, or of one with a fault, which settings tell, nothing."""
    path = os.environ.get(VARIABLE)
    try:
        return read_words_file(Path(path)) if path else OwnWords()
    except ValueError:
        return OwnWords()
