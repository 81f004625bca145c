"""What a booking verb refused, as an error that says why and what to do next."""

from __future__ import annotations

from typing import assert_never

from healthplus import errors
from healthplus.booking import errors as refusals
from healthplus.booking.outcomes import ACCOUNT_UNPAID_MAX, STATUS_TEXTS, NoSlotReason, RefusalCode, Refused
from healthplus.errors import HealthPlusError

_NO_SUCH_SLOT: dict[NoSlotReason, str] = {
    "no_such_provider": "There is no such provider; search for one.",
    "no_such_clinic": "The provider does not work at this clinic; look at the provider's slots for where they do.",
    "past": "This time is past; choose a later slot.",
    "closed": "The provider is not open at this time, or not for so long; choose one of their slots.",
    "beyond_horizon": "This time is further ahead than the provider can be booked; choose an earlier slot.",
    "off_grid": "No slot starts at this time; choose one of the provider's slots.",
    "too_late": "This slot starts too soon to be booked here; choose a later one, or call the clinic.",
    "slots_needed": "One appointment here cannot take so many slots; ask for fewer.",
    "on_leave": "The provider is away at this time; choose another slot.",
    "desk_only": "Only the clinic's desk gives this time; call them, or choose another slot.",
    "too_long": "The provider closes before all of it would be done; choose an earlier slot, or an alternative.",
    "not_that_day": "It is not done on this day of the week; choose another day, or one of the alternatives.",
    "no_such_service": "The provider does not offer this here; look at the provider's `services`.",
    "service_closed": "This is no longer offered so: its price or length may have changed; look at the provider's "
    "`services`, and choose again.",
    "not_together": "Only tests of a laboratory, in one currency, go into one visit; book the others on their own.",
    "too_many_services": "Too many tests for one visit; book some of them as a visit of their own.",
    "too_dear": "Together these cost more than one visit may; book some of them as a visit of their own.",
}


def error_for_refusal(outcome: Refused[RefusalCode]) -> HealthPlusError:
    """Return the error that a refusal is to the caller, with what the refusal says besides its code."""
    kind, detail = _kind_and_detail(outcome.code, outcome)
    members = {
        "status_text": STATUS_TEXTS.get(outcome.code),
        "reason": outcome.reason,
        "can_wait": outcome.can_wait,
        "alternatives": outcome.alternatives,
        "state": outcome.state,
        "limit": outcome.limit_max,
        "retry_at": outcome.retry_at,
    }
    return kind(detail, **{name: value for name, value in members.items() if value is not None})


def _kind_and_detail(  # noqa: C901, PLR0911, PLR0912 - a case for each code
    code: RefusalCode, outcome: Refused[RefusalCode]
) -> tuple[type[HealthPlusError], str | None]:
    match code:
        case "not_found":
            return errors.NotFound, None
        case "no_such_slot":
            assert outcome.reason is not None
            is_unknown = outcome.reason == "no_such_provider" or outcome.reason == "no_such_clinic"
            return errors.NotFound if is_unknown else refusals.NoSuchSlot, _NO_SUCH_SLOT[outcome.reason]
        case "slot_held":
            several = "Others are holding this time; choose one of the alternatives, or wait."
            return refusals.SlotHeld, several if outcome.alternatives else None
        case "slot_full":
            none = "Others have booked this time, and nothing near by is free; choose another day."
            return refusals.SlotFull, None if outcome.alternatives else none
        case "time_changed":  # of pages alone, which name the time that they showed
            return refusals.WrongState, "The hold was moved to another time; look at it again."
        case "wrong_state":
            state = (outcome.state or "").replace("_", " ")
            return (
                refusals.WrongState,
                f"This cannot be done with what is {state}; look at it again." if state else None,
            )
        case "claimed":
            return refusals.Claimed, None
        case "lapses":
            return refusals.TooManyLapses, None
        case "turns_used":
            return refusals.TurnsUsed, None
        case "hold_budget":
            return refusals.HoldBudget, None
        case "overlap":
            return refusals.Overlap, None
        case "same_day":
            return refusals.SameDay, None
        case "too_many_unpaid":
            whose = "This account" if outcome.limit_max == ACCOUNT_UNPAID_MAX else "This person"
            said = f"{whose} has {outcome.limit_max} appointments ahead that are not paid online"
            return refusals.TooManyUnpaid, f"{said}; cancel one, or choose a time that is paid online."
        case "too_many_ahead":
            return refusals.TooManyAhead, None
        case "online_only":  # of the desk alone: a patient's own hold is paid online
            return refusals.OnlineOnly, None
        case "key_reused":
            return errors.KeyReused, None
        case "expired":
            return refusals.HoldExpired, None
        case "offer_over":
            return refusals.OfferOver, None
        case "too_late":
            return refusals.TooLate, None
        case "payment_required":
            return refusals.PaymentRequired, None
        case "busy" | "conflict" | "shift_overlap" | "invalid":  # of the desk and of background tasks
            return errors.Conflict, None
        case _:
            assert_never(code)
