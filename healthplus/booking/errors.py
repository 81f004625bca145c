"""What the booking verbs refuse, as errors: `code` is that of the outcome."""

from __future__ import annotations

from healthplus.errors import BadInput, Conflict, Gone, HealthPlusError


class SlotFull(Conflict):
    """Others have booked this time; choose another."""

    code = "slot_full"


class SlotHeld(Conflict):
    """Others are holding this time and may let it go; choose another, or wait."""

    code = "slot_held"


class NoSuchSlot(BadInput):
    """There is no such slot."""

    code = "no_such_slot"


class Claimed(Conflict):
    """You already hold a slot or wait for one; pay for it, give it back or leave the queue first."""

    code = "claimed"


class Overlap(Conflict):
    """This person has another appointment then; choose another time, or hold this one `instead_of` that."""

    code = "overlap"


class SameDay(Conflict):
    """This person has an appointment with this provider on that day; move it, or choose another day."""

    code = "same_day"


class TooManyUnpaid(Conflict):
    """Too many appointments ahead are not paid online; cancel one, or choose a time that is paid online."""

    code = "too_many_unpaid"


class TooManyAhead(Conflict):
    """This person has as many appointments ahead as one may have; cancel one, or hold this one `instead_of` it."""

    code = "too_many_ahead"


class OnlineOnly(Conflict):
    """This person pays online only at this clinic for now, and books it themselves."""

    code = "online_only"


class TooManyLapses(HealthPlusError):
    """Too many of your holds ran out unpaid in the last day; `retry_at` says when you may hold or wait again."""

    code = "lapses"
    status = 429


class HoldBudget(HealthPlusError):
    """Too many of your holds were given up, moved or ran out; `retry_at` says when you may hold or wait again."""

    code = "hold_budget"
    status = 429


class TurnsUsed(HealthPlusError):
    """You let two turns go here in the last day; `retry_at` says when you may wait here again."""

    code = "turns_used"
    status = 429


class HoldExpired(Gone):
    """The reservation has expired, and its slots are free for others; hold again."""

    code = "expired"


class OfferOver(Gone):
    """The offer is over: it was not accepted in time."""

    code = "offer_over"


class WrongState(Conflict):
    """It is not in a state in which this can be done; look at it again."""

    code = "wrong_state"


class TooLate(Conflict):
    """The visit has begun; call the clinic to change it."""

    code = "too_late"


class PaymentRequired(HealthPlusError):
    """This visit is paid for online; pay to book it."""

    code = "payment_required"
    status = 402
