"""The faults that an emulated gateway plays."""

from __future__ import annotations

from healthplus_sandbox.faults import CommonPlan


class FaultPlan(CommonPlan):
    """The faults of a bank, and those of a gateway's refunds and authorisations."""

    refund_pending: float = 0.0  # a refund is on its way for a while
    refund_fails: float = 0.0  # a bank then refuses it
    refund_seconds: float = 2.0
    fail_kept: float = 0.0  # a failure that a repeat with the same idempotency key is answered with, too
    lapse_seconds: float | None = None  # an authorisation lapses after so long; None: as the gateway has it
