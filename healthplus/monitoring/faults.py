"""Faults of ours, as the operator sees them: what went wrong where, how often, and the request that met it last.

Whatever a process logs as an error is a fault, in a request or a background task. Only the type of an error, the
functions of ours in which it happened and names of routes are kept: its text may quote what a person has typed. Faults
are added up in memory by their fingerprint, and written every few seconds, so that a storm of them is a few rows.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import healthplus
from healthplus.logs import failure_of, request_id
from healthplus.metrics import ERRORS

FRAMES_MAX = 5
"""Of our functions, the innermost, that are kept and tell faults apart."""
KINDS_MAX = 200
"""Fingerprints of a process between two times of writing; what comes on top is counted as one fault, `others`."""
_PACKAGE = str(Path(healthplus.__file__).parent)


@dataclass
class Fault:
    """Faults of one fingerprint since they were last written. `place`: functions of ours, the innermost first."""

    fingerprint: str
    type: str
    place: str
    route: str
    request_id: str | None
    times: int = 0


class Faults(logging.Handler):
    """Adds up the faults of this process; `on_new` is called with the first of each fingerprint since the last time."""

    def __init__(self, on_new: Callable[[Fault], None] | None = None) -> None:
        super().__init__(logging.ERROR)
        self._on_new = on_new
        for where in ("request", "background"):
            ERRORS.open(where)
        self._found: dict[str, Fault] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Add what a log record tells."""
        fault = _fault_of(record)
        if fault.fingerprint not in self._found and len(self._found) >= KINDS_MAX:
            fault = Fault("others", "more kinds of faults than are told apart", "", fault.route, fault.request_id)
        known = self._found.setdefault(fault.fingerprint, fault)
        known.times += 1
        known.route, known.request_id = fault.route, fault.request_id or known.request_id
        ERRORS.add("request" if fault.request_id else "background")
        if known is fault and self._on_new is not None:
            self._on_new(fault)

    def take(self) -> list[Fault]:
        """Return the faults since the last call."""
        self.acquire()
        try:
            found, self._found = self._found, {}
        finally:
            self.release()
        return list(found.values())

    def put_back(self, faults: list[Fault]) -> None:
        """Add what could not be written to what came since."""
        self.acquire()
        try:
            for fault in faults:
                known = self._found.setdefault(fault.fingerprint, fault)
                if known is not fault:
                    known.times += fault.times
        finally:
            self.release()


def _fault_of(record: logging.LogRecord) -> Fault:
    failure = failure_of(record)
    if failure is None:  # an error that was logged, and not raised: where that is tells it apart
        kind = record.name
        place = [f"{_short(record.pathname)}:{record.funcName}"]
    else:
        kind = f"{type(failure).__module__}.{type(failure).__qualname__}".removeprefix("builtins.")
        place = _places(failure.__traceback__) or _places(_cause(failure))
    fingerprint = hashlib.sha256("\n".join((kind, *place)).encode()).hexdigest()[:16]
    route = getattr(record, "route", None) or f"{record.name}: {record.funcName}"
    return Fault(fingerprint, kind, " < ".join(place), route, request_id.get())


def _cause(failure: BaseException) -> TracebackType | None:
    inner = failure.__cause__ or failure.__context__
    return inner.__traceback__ if inner else None


def _places(trace: TracebackType | None) -> list[str]:
    """Return the innermost functions of ours, the innermost first; where one calls itself, it is there once."""
    places: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(_PACKAGE):
            place = f"{_short(code.co_filename)}:{code.co_qualname}"
            if place not in places:
                places.append(place)
        trace = trace.tb_next
    return places[: -FRAMES_MAX - 1 : -1]


def _short(path: str) -> str:
    return path.removeprefix(f"{_PACKAGE}/")
