"""The texts of all notices in English: ASCII, since with one other letter an SMS holds half as many."""

from healthplus.notices.text import EARLIER, TURN, Text, Texts

_CHANGE = "See, move or cancel it"

ENGLISH = Texts(
    code="en",
    locale="en_IN",
    clock="h:mm a",
    exact_clock="h:mm:ss a",
    rupees="Rs ",
    prefix="",
    fee={
        "online": "The fee is {fee}, paid online.",
        "clinic": "The fee is {fee}, to be paid at the clinic.",
    },
    before="Before you come",
    why="You get this because you book with HealthPlus.",
    settings="Choose what we send you",
    texts={
        "booked": Text(
            "Your appointment is booked",
            "Your appointment is booked for {when}.",
            _CHANGE,
            with_fee=True,
        ),
        "moved": Text(
            "Your appointment has moved",
            "Your appointment has moved to {when}.",
            _CHANGE,
            with_fee=True,
        ),
        "cancelled": Text(
            "Your appointment is cancelled",
            "{when} is cancelled. What was paid online will be refunded.",
            "Book again",
        ),
        "cancelled_kept": Text(
            "Your appointment is cancelled",
            "{when} is cancelled: {kept} is kept, {returned} will be refunded.",
            "Details",
        ),
        "replaced": Text(
            "Your earlier appointment is cancelled",
            "Your new time replaces {when}. What was paid will be refunded.",
            "Details",
        ),
        "replaced_kept": Text(
            "Your earlier appointment is cancelled",
            "{when} is replaced: {kept} is kept, {returned} will be refunded.",
            "Details",
        ),
        "needs_rebooking": Text(
            "Please choose another time",
            "The clinic cannot keep your appointment on {when}.",
            "Choose another time",
        ),
        "stands": Text(
            "Your appointment stands",
            "Your appointment on {when} stands after all.",
            _CHANGE,
        ),
        "expired": Text(
            "Your 5 minutes are over", "Your 5 minutes are over; {when} was released. No money was taken.", "Try again"
        ),
        "expired_paid": Text(
            "Your 5 minutes are over",
            "Your 5 minutes are over; {when} was released. You will be refunded.",
            "Try again",
        ),
        "withdrawn": Text(
            "The clinic released your time",
            "The clinic no longer has {when}. No money was taken.",
            "Other times",
        ),
        "withdrawn_paid": Text(
            "The clinic released your time",
            "The clinic no longer has {when}. What you paid is refunded.",
            "Other times",
        ),
        "queue_closed": Text(
            "Your place in the queue has ended",
            "The clinic no longer has the times you waited for. You need not wait any more.",
            "Other times",
        ),
        "offered": Text(
            "It's your turn",
            "It's your turn: {when} is held for you until {until}, then for the next.",
            "Take it",
            with_fee=True,
            page=TURN,
        ),
        "called": Text(
            "A time has come free",
            "{when} is free. It goes to the first in the queue who answers by {until}.",
            "Take it",
            with_fee=True,
            page=TURN,
        ),
        "offer_lapsed": Text(
            "Your turn is over", "Your turn is over: {when} was not taken in time.", "See other times"
        ),
        "offer_missed": Text(
            "A time came while you were away",
            "A time came while you were away. You keep your number, but others go first until you are back.",
            "Be back",
            page=TURN,
        ),
        "refunded": Text(
            "Your refund is on its way",
            "{returned} is on its way to the account you paid from, usually within 7 days.",
            "Details",
        ),
        "refunded_part": Text(
            "Your refund is on its way",
            "{returned} of what you paid is on its way back, usually within 7 days.",
            "Details",
        ),
        "reminder": Text(
            "Your appointment is coming up",
            "Your appointment is on {when}.",
            "Confirm, move or cancel",
            with_fee=True,
        ),
        "reminder_reply": Text(
            "Your appointment is coming up",
            "Your appointment is on {when}. Coming? Reply YES.",
            "To move or cancel",
        ),
        "earlier": Text(
            "An earlier time is free",
            "{when} is free, before your time. The first who takes it has it.",
            "Take it",
            page=EARLIER,
        ),
        "not_cancelled": Text(
            "Your appointment is not cancelled",
            "Nothing is cancelled yet: your appointment is on {when}.",
            "Move or cancel it",
        ),
    },
)
