"""The texts of all notices in English: ASCII, since with one other letter an SMS holds half as many."""

from healthplus.notices.text import APPOINTMENT, EARLIER, TURN, Text, Texts

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
    why="You get this because you book with HealthPlus.",
    settings="Choose what we send you",
    texts={
        "booked": Text(
            "Your appointment is booked",
            "Your appointment is booked for {when}.",
            _CHANGE,
            with_fee=True,
            page=APPOINTMENT,
        ),
        "moved": Text(
            "Your appointment has moved",
            "Your appointment has moved to {when}.",
            _CHANGE,
            with_fee=True,
            page=APPOINTMENT,
        ),
        "cancelled": Text(
            "Your appointment is cancelled",
            "Appointment on {when} cancelled. What was paid online is refunded.",
            "Book again",
            page=APPOINTMENT,
        ),
        "cancelled_kept": Text(
            "Your appointment is cancelled",
            "{when} is cancelled: {kept} is kept by its terms, {returned} is refunded.",
            "Details",
        ),
        "replaced": Text(
            "Your earlier appointment is cancelled",
            "{when} is cancelled: your new time replaces it. What was paid online is refunded.",
            "Details",
        ),
        "replaced_kept": Text(
            "Your earlier appointment is cancelled",
            "Your new time replaces {when}: {kept} is kept, {returned} is refunded.",
            "Details",
        ),
        "needs_rebooking": Text(
            "Please choose another time",
            "The clinic cannot keep your appointment on {when}.",
            "Choose another time",
            page=APPOINTMENT,
        ),
        "stands": Text(
            "Your appointment stands",
            "Your appointment on {when} stands after all.",
            _CHANGE,
            page=APPOINTMENT,
        ),
        "expired": Text(
            "Your 5 minutes are over", "Your 5 minutes are over; {when} was released. No money was taken.", "Try again"
        ),
        "expired_paid": Text(
            "Your 5 minutes are over",
            "Your 5 minutes are over; {when} was released. What you paid is refunded.",
            "Try again",
        ),
        "withdrawn": Text(
            "The clinic released your time",
            "The clinic no longer has {when}, which you held. No money was taken.",
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
            "Your refund has started",
            "{returned} is refunded. Your bank may take some days to show it.",
            "Details",
            page=APPOINTMENT,
        ),
        "refunded_part": Text(
            "Your refund has started",
            "{returned} of what you paid is refunded. Your bank may take some days to show it.",
            "Details",
            page=APPOINTMENT,
        ),
        "reminder": Text(
            "Your appointment is coming up",
            "Your appointment is on {when}.",
            "Confirm, move or cancel",
            with_fee=True,
            page=APPOINTMENT,
        ),
        "reminder_reply": Text(
            "Your appointment is coming up",
            "Your appointment is on {when}. Coming? Reply YES.",
            "To move or cancel",
            page=APPOINTMENT,
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
            page=APPOINTMENT,
        ),
    },
)
