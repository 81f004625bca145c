"""Reads what Stripe's clients send: forms and queries whose names nest, as in `metadata[key]` and `expand[0]`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

_NAME = re.compile(r"([a-z0-9_]+)((?:\[[^\[\]]*\])*)")


class BadForm(Exception):
    """A field has no name of that kind."""


def read_form(encoded: str) -> dict[str, Any]:
    """Return the fields of a form or query, nested. Raises BadForm."""
    read: dict[str, Any] = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded)):
        matched = _NAME.fullmatch(name)
        if matched is None:
            raise BadForm(name)
        *above, last = [matched[1], *re.findall(r"\[([^\[\]]*)\]", matched[2])]
        into = read
        for step in above:
            into = into.setdefault(step, {})
            if not isinstance(into, dict):
                raise BadForm(name)
        into[last or str(len(into))] = value  # `types[]` is the next of a list
    return {name: _listed(value) for name, value in read.items()}


def _listed(value: Any) -> Any:
    """Turn what is numbered from 0 into a list."""
    if not isinstance(value, dict):
        return value
    inner = {name: _listed(one) for name, one in value.items()}
    return list(inner.values()) if [*inner] == [str(number) for number in range(len(inner))] else inner
