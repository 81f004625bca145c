"""What a patient has to do before a service: read as it is typed, and as pages and messages say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from healthplus.directory.known_services import Service
from healthplus.errors import BadInput
from healthplus.text import is_name, line

PREPARATION_MAX = 500


class Preparation(NamedTuple):
    """What is to be done before the services with these names."""

    text: str
    names: tuple[str, ...]


def checked_preparation(text: str) -> str:
    """Return a text as it is kept, on one line; "" says that nothing is to be done. Raises BadInput."""
    text = line(text)
    if text and not is_name(text, PREPARATION_MAX):
        raise BadInput(f"a preparation has up to {PREPARATION_MAX} printable characters")
    return text


def preparations_for(chosen: Iterable[Service], known: Mapping[int, str]) -> list[Preparation]:
    """Return what is to be done before services, each text once; `known` has it by service."""
    names: dict[str, list[str]] = {}
    for one in chosen:
        if text := known.get(one.service_id):
            names.setdefault(text, []).append(one.name)
    return [Preparation(text, tuple(those)) for text, those in names.items()]
