"""Stripe's refusals, as its API words their kinds."""

from __future__ import annotations

from typing import Any

from healthplus_emulators.emulator import Answer, document


class Refused(Exception):
    """A request that Stripe refuses; `kept`: under its idempotency key, as execution had begun."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int = 400,
        kind: str = "invalid_request_error",
        kept: bool = False,
        **members: Any,
    ) -> None:
        super().__init__(message)
        shown = {"type": kind, "message": message, "code": code, "param": param, **members}
        self.body = {"error": {name: value for name, value in shown.items() if value is not None}}
        self.status = status
        self.kept = kept

    @property
    def answer(self) -> Answer:
        """Return it as an HTTP answer."""
        return document(self.body, self.status)


def missing(kind: str, name: str) -> Refused:
    """Return the refusal of an object that is not there."""
    return Refused(f"No such {kind}: '{name}'", code="resource_missing", param="id", status=404)


def required(param: str) -> Refused:
    """Return the refusal of a request that lacks a parameter."""
    return Refused(f"Missing required param: {param}.", code="parameter_missing", param=param)
