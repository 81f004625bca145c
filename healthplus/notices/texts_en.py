"""The texts of all notices in English: ASCII, since with one other letter an SMS holds half as many."""

from healthplus.notices.text import EARLIER, MOVE, PEOPLE, TURN, Text, Texts

_CHANGE = "See, reschedule or cancel it"

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
        "booked_by_clinic": Text(
            "The clinic booked an appointment for you",
            "The clinic booked your appointment for {when}.",
            _CHANGE,
            with_fee=True,
        ),
        "moved": Text(
            "Your appointment is rescheduled",
            "Your appointment is rescheduled to {when}.",
            _CHANGE,
            with_fee=True,
        ),
        "cancelled": Text(
            "Your appointment is cancelled",
            "Your appointment on {when} is cancelled.",
            "Book again",
        ),
        "cancelled_refund": Text(
            "Your appointment is cancelled",
            "Your appointment on {when} is cancelled. You get {returned} back.",
            "Book again",
        ),
        "cancelled_kept": Text(
            "Your appointment is cancelled",
            "Your appointment on {when} is cancelled: {kept} kept, {returned} back.",
            "More",
        ),
        "replaced": Text(
            "Your earlier appointment is cancelled",
            "Your appointment on {when} is replaced by the new one.",
            "Details",
        ),
        "replaced_refund": Text(
            "Your earlier appointment is cancelled",
            "Your appointment on {when} is replaced. You get {returned} back.",
            "Details",
        ),
        "replaced_kept": Text(
            "Your earlier appointment is cancelled",
            "Your appointment on {when} is replaced: {kept} kept, {returned} back.",
            "More",
        ),
        "needs_rebooking": Text(
            "Please choose another time",
            "Your appointment on {when} cannot be kept by the clinic.",
            "Choose another time",
        ),
        "stands": Text(
            "Your appointment stands",
            "Your appointment on {when} stands after all.",
            _CHANGE,
        ),
        "expired": Text(
            "Your 5 minutes are over", "Your 5 minutes for {when} are over. No money was taken.", "Try again"
        ),
        "expired_unanswered": Text(
            "Your bank has not answered yet",
            "Your 5 minutes for {when} are over. Any money taken comes back.",
            "Details",
        ),
        "expired_paid": Text(
            "Your 5 minutes are over",
            "Your 5 minutes for {when} are over. You get your money back.",
            "Try again",
        ),
        "withdrawn": Text(
            "The clinic released your time",
            "The clinic no longer has {when}. No money was taken.",
            "Other times",
        ),
        "withdrawn_unanswered": Text(
            "The clinic released your time",
            "The clinic no longer has {when}. Any money taken comes back.",
            "Other times",
        ),
        "withdrawn_paid": Text(
            "The clinic released your time",
            "The clinic no longer has {when}. You get your money back.",
            "Other times",
        ),
        "queue_closed": Text(
            "Your place in the queue has ended",
            "The clinic no longer has the times you waited for. You need not wait any more.",
            "Other times",
        ),
        "queued": Text(
            "You are in the queue",
            "You are in the queue. We call you when it is your turn.",
            "Your place",
            page=TURN,
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
            "Your money was refunded",
            "Refund processed: {returned}. Your bank shows it in 2 to 7 days (UPI) or 5 to 10 (card).",
            "Details",
        ),
        "refunded_part": Text(
            "A part of your money was refunded",
            "Refund processed: {returned} of what you paid. Your bank may take 10 days to show it.",
            "Details",
        ),
        "refunded_twice": Text(
            "You paid twice, and were refunded once",
            "Refund processed: {returned} that you paid twice. Your bank may take 10 days to show it.",
            "Details",
        ),
        "refund_started": Text(
            "Your refund has started",
            "Refund started: {returned} to the account you paid from. We tell you when it is done.",
            "Details",
        ),
        "refund_failed": Text(
            "Your refund did not go through",
            "Your bank did not take the refund of {returned}. The clinic sees to it; you are owed it.",
            "Details",
        ),
        "reminder": Text(
            "Your appointment is coming up",
            "Your appointment is on {when}.",
            "Confirm, reschedule or cancel",
            with_fee=True,
        ),
        "reminder_reply": Text(
            "Your appointment is coming up",
            "Your appointment is on {when}. Coming? Reply YES.",
            "To reschedule or cancel",
        ),
        "earlier": Text(
            "An earlier time is free",
            "{when} is free, before your time. The first who takes it has it.",
            "Take it",
            page=EARLIER,
        ),
        "running_late": Text(
            "The doctor is running late",
            "Your appointment on {when} runs late. Come at {come}.",
            "Details",
        ),
        "pay_link": Text(
            "Pay for your appointment",
            "You can pay the clinic now for your appointment on {when}.",
            "Pay",
            with_fee=True,
        ),
        "token": Text("Your token", "Your token at the clinic is {token}.", "Details", with_fee=True),
        "person_added": Text(
            "A clinic added a person at your number",
            "A clinic added a person at your number, as agreed on the phone or there. If not, remove them.",
            "See whom",
            page=PEOPLE,
        ),
        "choose_time": Text(
            "Choose another time",
            "You can choose another time yourself for {when}.",
            "Choose another time",
            page=MOVE,
        ),
        "not_cancelled": Text(
            "Your appointment is not cancelled",
            "Your appointment on {when} is not cancelled.",
            "Reschedule or cancel it",
        ),
    },
)
