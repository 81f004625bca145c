"""What a booking verb refused, as an error that says why and what to do next."""

from __future__ import annotations

from healthplus import errors
from healthplus.booking.book import STATUS_TEXTS, Outcome
from healthplus.errors import HealthPlusError

_ERRORS: dict[str, type[HealthPlusError]] = {
    error.code: error
    for error in (
        errors.NotFound,
        errors.SlotFull,
        errors.SlotHeld,
        errors.NoSuchSlot,
        errors.Claimed,
        errors.TooManyLapses,
        errors.KeyReused,
        errors.HoldExpired,
        errors.OfferOver,
        errors.WrongState,
        errors.TooLate,
        errors.PaymentRequired,
    )
}

_NO_SUCH_SLOT = {
    "no_such_provider": "There is no such provider; search for one.",
    "no_such_clinic": "The provider does not work at this clinic; look at the provider's slots for where they do.",
    "past": "This time is past; choose a later slot.",
    "closed": "The provider is not open at this time, or not for so long; choose one of their slots.",
    "beyond_horizon": "This time is further ahead than the provider can be booked; choose an earlier slot.",
    "off_grid": "No slot starts at this time; choose one of the provider's slots.",
    "too_late": "This slot starts too soon to be booked here; choose a later one, or call the clinic.",
    "slots_needed": "One appointment here cannot take so many slots; ask for fewer.",
    "on_leave": "The provider is away at this time; choose another slot.",
}


def error_for_refusal(outcome: Outcome) -> HealthPlusError:
    """Return the error for an outcome that is a refusal. Raises KeyError for an outcome that is none."""
    kind = _ERRORS[outcome.code]
    detail = None
    if outcome.code == "no_such_slot":
        assert outcome.reason is not None
        detail = _NO_SUCH_SLOT[outcome.reason]
        if outcome.reason in ("no_such_provider", "no_such_clinic"):
            kind = errors.NotFound
    elif outcome.code == "slot_held" and outcome.alternatives:
        detail = "Others are holding this time; choose one of the alternatives, or wait."
    elif outcome.code == "slot_full" and not outcome.alternatives:
        detail = "Others have booked this time, and nothing near by is free; choose another day."
    elif outcome.code == "wrong_state" and outcome.state is not None:
        detail = f"This cannot be done with what is {outcome.state.replace('_', ' ')}; look at it again."
    members = {
        "status_text": STATUS_TEXTS.get(outcome.code),
        "reason": outcome.reason,
        "can_wait": outcome.can_wait,
        "alternatives": outcome.alternatives,
        "state": outcome.state,
    }
    return kind(detail, **{name: value for name, value in members.items() if value is not None})
