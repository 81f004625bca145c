"""The rows of a file that were read so far, by which duplicates and contradictions are found."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

import msgspec

from healthplus.errors import BadInput
from healthplus.imports.entries import Clinic, Entry, PostalCode, Provider
from healthplus.names import service_slug
from healthplus.schedule.shift_text import Shift, first_overlap

_Facts = TypeVar("_Facts", Clinic, Provider)

_TELL_APART = frozenset({"type", "name", "city", "state"})
"""Facts without which one cannot be told from another: a row that says otherwise is about something else."""


def left_out(entry: Entry, column: str, reason: str, *, strict: bool, **without: object) -> Entry:
    """Return an entry `without` what one of its cells says, and with that as a gap; raises BadInput where `strict`."""
    if strict:
        raise BadInput(f"{column}: {reason}")
    return msgspec.structs.replace(entry, gaps=(*entry.gaps, f"{column} left out: {reason}"), **without)


class SeenPostalCodes:
    """The postal codes read so far."""

    def __init__(self) -> None:
        self.accepted: list[PostalCode] = []
        self._seen: dict[str, PostalCode] = {}

    def add(self, code: PostalCode) -> int | None:
        """Remember the row, or return the line of the one it duplicates; raises BadInput when it contradicts one."""
        first = self._seen.setdefault(code.postal_code, code)
        if (first.latitude, first.longitude) != (code.latitude, code.longitude):
            raise BadInput(f"line {first.line} says otherwise about {code.postal_code}")
        if first is not code:
            return first.line
        self.accepted.append(code)
        return None


class SeenEntries:
    """The entries read so far. What several rows say of one provider or clinic is put together."""

    def __init__(self, *, has_identifiers: bool, strict: bool) -> None:
        self._has_identifiers = has_identifiers
        self._strict = strict
        self._posts: dict[tuple[str, str], Entry] = {}
        self._clinics: dict[str, tuple[int, Clinic]] = {}
        self._providers: dict[str, tuple[int, Provider]] = {}
        self._shifts: dict[str, list[Shift]] = defaultdict(list)
        self._tests: dict[tuple[str, str], tuple[int, object]] = {}

    @property
    def accepted(self) -> list[Entry]:
        """Return the entries in the order of the file, each with all that is known of its provider and clinic."""
        return list(map(self._complete, self._posts.values()))

    def _complete(self, entry: Entry) -> Entry:
        clinic, provider = self._clinics[entry.clinic.identifier][1], self._providers[entry.provider.identifier][1]
        if clinic is entry.clinic and provider is entry.provider:
            return entry
        return msgspec.structs.replace(entry, clinic=clinic, provider=provider)

    def add(self, entry: Entry) -> int | None:
        """Remember the row, or return the line of the one it duplicates; raises BadInput when it contradicts one."""
        post = (entry.provider.identifier, entry.clinic.identifier)
        if same := self._posts.get(post):
            if not self._has_identifiers or _content(same) == _content(entry):
                return same.line
            raise BadInput(f"line {same.line} already says otherwise about this provider at this clinic")
        notes = list(entry.gaps)
        clinic = self._together(self._clinics.get(entry.clinic.identifier), entry.clinic, notes)
        provider = self._together(self._providers.get(entry.provider.identifier), entry.provider, notes)
        entry = self._without_other_tests(
            msgspec.structs.replace(entry, clinic=clinic, provider=provider, gaps=tuple(notes))
        )
        shifts = self._shifts[entry.provider.identifier]
        if clash := first_overlap([*shifts, *entry.shifts]):
            reason = f"{clash[0]} and {clash[1]} of this provider overlap"
            entry = left_out(entry, "shifts", reason, strict=self._strict, shifts=())
        shifts += entry.shifts
        for test in entry.tests:
            key = (entry.provider.identifier, service_slug(test.name))
            self._tests.setdefault(key, (entry.line, _nameless(test, entry.currency)))
        self._posts[post] = entry
        self._clinics[entry.clinic.identifier] = (self._clinics.get(entry.clinic.identifier, (entry.line,))[0], clinic)
        self._providers[entry.provider.identifier] = (
            self._providers.get(entry.provider.identifier, (entry.line,))[0],
            provider,
        )
        return None

    def _together(self, known: tuple[int, _Facts] | None, facts: _Facts, notes: list[str]) -> _Facts:
        """Return what two rows say of one provider or clinic; where they differ in an option, the first counts."""
        if known is None or known[1] == facts:
            return facts if known is None else known[1]
        line, before = known
        more: dict[str, object] = {}
        different = []
        for field in facts.__struct_fields__:
            old, new = getattr(before, field), getattr(facts, field)
            if new is None or old == new or field == "written_name":
                continue
            if old is None:
                more[field] = new
            elif field not in _TELL_APART or old.casefold() != new.casefold():
                different.append(field)
        if different and (self._strict or _TELL_APART & set(different)):
            raise BadInput(f"line {line} says otherwise about {facts.identifier!r}: {', '.join(different)}")
        notes += [f"{field} left out: an earlier line says otherwise of the same" for field in different]
        return msgspec.structs.replace(before, **more) if more else before

    def _without_other_tests(self, entry: Entry) -> Entry:
        for test in entry.tests:
            name = service_slug(test.name)
            line, known = self._tests.get((entry.provider.identifier, name), (0, None))
            if known is not None and known != _nameless(test, entry.currency):
                reason = f"line {line} says otherwise about the test {name!r}"
                rest = tuple(one for one in entry.tests if one is not test)
                entry = left_out(entry, "tests", reason, strict=self._strict, tests=rest)
        return entry


def _nameless(test: msgspec.Struct, currency: str) -> object:
    return msgspec.structs.replace(test, name=""), currency


def _content(entry: Entry) -> tuple[object, ...]:
    return tuple(getattr(entry, name) for name in Entry.__struct_fields__ if name not in ("line", "gaps"))
