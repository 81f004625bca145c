"""Laboratory tests by what is examined, as pages list them; where a name tells nothing, among the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from healthplus.text import comparable
from healthplus.web.languages import N_, Language

_GROUPED_FROM = 8
"""From how many tests on they are in groups."""
SEARCHED_FROM = 13
"""From how many tests on they can be searched."""

# The first that fits counts: a Doppler scan of the heart is a scan.
_KINDS = (
    (
        N_("Scans and X-rays"),
        r"x-?ray|\b(ct|mri|pet)\b|ultrasound|sonograph|doppler|mammogra|\bdexa\b|bone density|\bscan\b|echocardio",
    ),
    (N_("Heart"), r"\becg\b|\bekg\b|electrocardio|stress test|\btmt\b|holter"),
    (N_("Urine and stool"), r"urine|urinary|stool|faec|fec(al|es)"),
    (N_("Tissue and swabs"), r"pap smear|biops|histopath|cytolog|fnac|swab|sputum|semen"),
    (
        N_("Blood"),
        r"blood|\bcbc\b|sugar|glucose|hba1c|lipid|cholesterol|liver|kidney|renal|thyroid|\btsh\b|vitamin|\biron\b|ferritin|protein|"
        r"antigen|antibod|widal|sedimentation|haemoglobin|hemoglobin|electrolyte|sodium|potassium|calcium|uric acid|"
        r"creatinine|\bhiv\b|hepatitis|hormone|platelet|dengue|malaria|insulin|culture",
    ),
)
_OTHERS = N_("Other tests")


def by_kind(tests: Sequence[Mapping[str, Any]], language: Language) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return tests, which have names, under headings in the reader's language; a short list has one, empty, heading."""
    if len(tests) < _GROUPED_FROM:
        return [("", list(tests))] if tests else []
    groups: dict[str, list[Mapping[str, Any]]] = {heading: [] for heading, _ in _KINDS[-1:] + _KINDS[:-1]}
    groups[_OTHERS] = []
    for test in tests:
        groups[_kind_of(test["name"])].append(test)
    return [(language.gettext(heading), some) for heading, some in groups.items() if some]


def named_like(tests: Iterable[Mapping[str, Any]], text: str, language: Language) -> list[Mapping[str, Any]]:
    """Return the tests whose name, in English or the reader's language, has all words of a text in it."""
    words = comparable(text).split()
    return [one for one in tests if all(word in _names(one["name"], language) for word in words)]


def _names(name: str, language: Language) -> str:
    return comparable(f"{name} {language.known_name('service', name)}")


def _kind_of(name: str) -> str:
    return next((heading for heading, pattern in _KINDS if re.search(pattern, name, re.IGNORECASE)), _OTHERS)
