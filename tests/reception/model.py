"""Today's order in plain Python, written from the rule (docs/decisions/0063-reception.md) and not from the SQL."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


@dataclass(eq=False)
class Patient:
    starts: datetime
    walk_in: bool = False
    """Whether they have a token and no time."""
    state: str = "expected"
    token: int | None = None
    arrived: datetime | None = None
    calls: list[datetime] = field(default_factory=list)
    first_from: str | None = None
    come: datetime | None = None
    """To when at the latest they were told to come, before they came."""
    acts: list[tuple[str, str, datetime, Patient]] = field(default_factory=list)
    """What was recorded, by whom and when, and what they were before."""

    @property
    def line(self) -> str:
        if len(self.calls) >= 3:
            return "end"
        assert self.arrived is not None
        due = max(self.starts, self.come or self.starts)
        return "token" if self.walk_in or self.arrived > due + 15 * MINUTE else "booked"


@dataclass
class Session:
    """One shift of a doctor, with its appointments."""

    patients: list[Patient]
    ends: datetime
    every: int
    now: datetime
    walk_ins_max: int = 0
    tokens: int = 0

    def order(self) -> list[Patient]:
        """Return who is called, from the next on."""
        waiting = [p for p in self.patients if p.state in ("here", "called")]
        waiting = [p for p in waiting if not p.calls or self.now - p.calls[-1] >= 2 * MINUTE]
        tokens = [p.calls[0] for p in self.patients if p.first_from == "token"]
        in_row = len([p for p in self.patients if p.first_from == "booked" and all(p.calls[0] > at for at in tokens)])
        found = []
        while waiting:
            lines = {line: [p for p in waiting if p.line == line] for line in ("booked", "token", "end")}
            if lines["token"] and (in_row >= self.every or not lines["booked"]):
                one = min(lines["token"], key=lambda p: p.token or 0)
                in_row = in_row if one.calls else 0
            elif lines["booked"]:
                one = min(lines["booked"], key=lambda p: (p.starts, p.token))
                in_row = in_row if one.calls else in_row + 1
            else:
                one = min(lines["end"], key=lambda p: (p.calls[-1], p.token))
            waiting.remove(one)
            found.append(one)
        return found

    def tell(self, patient: Patient, come: datetime) -> bool:
        """Tell a patient when to come, if they are still expected."""
        if patient.state != "expected":
            return False
        patient.come = max(come, patient.come or come)
        return True

    def take_in(self, actor: str) -> str:
        """Take in somebody who has no appointment, where all times are taken."""
        if self.now >= self.ends:
            return "not_working"
        if len([p for p in self.patients if p.walk_in and p.state != "cancelled"]) >= self.walk_ins_max:
            return "no_token"
        self.tokens += 1
        before = Patient(self.now, walk_in=True, state="cancelled")
        self.patients.append(replace(before, state="here", token=self.tokens, arrived=self.now, calls=[]))
        self.patients[-1].acts = [("arrive", actor, self.now, before)]
        return "booked"

    def record(self, patient: Patient, act: str, actor: str) -> str:
        if patient.acts and patient.acts[-1][:2] == (act, actor) and self.now - patient.acts[-1][2] < 10 * MINUTE / 60:
            return "recorded"
        allowed = {
            "arrive": ["expected"],
            "miss": ["expected"],
            "call": ["here", "called"],
            "enter": ["called"],
            "finish": ["called", "in_room"],
            "leave": ["here", "called", "in_room"],
        }
        if patient.state not in allowed[act]:
            return "wrong_state"
        if act == "miss" and self.now < self.ends:
            return "too_early"
        if act == "call":
            if patient.calls and self.now - patient.calls[-1] < 2 * MINUTE:
                return "just_called"
            if self.order()[0] is not patient:
                return "not_next"
        before = replace(patient, calls=[*patient.calls], acts=[*patient.acts])
        if act == "arrive":
            self.tokens += 1
            patient.token, patient.arrived = self.tokens, self.now
        elif act == "call":
            patient.first_from = patient.first_from or patient.line
            patient.calls.append(self.now)
        patient.state = {
            "arrive": "here",
            "miss": "no_show",
            "call": "called",
            "enter": "in_room",
            "finish": "done",
            "leave": "left",
        }[act]
        patient.acts.append((act, actor, self.now, before))
        return "recorded"

    def undo(self, patient: Patient, actor: str) -> str:
        """Take back the last act; only one in a row. A walk-in whose coming is taken back is gone."""
        if not patient.acts or patient.acts[-1][1] != actor or self.now - patient.acts[-1][2] >= 3 * MINUTE:
            return "too_late"
        before = patient.acts[-1][3]
        # What comes back was recorded before, and cannot be undone any more.
        past = [("", "", at, was) for _, _, at, was in before.acts]
        for name in ("state", "token", "arrived", "calls", "first_from"):
            setattr(patient, name, getattr(before, name))
        patient.acts = past
        return "undone"
