"""The requests of the page "Your first booking in five requests", which a test sends as they stand there."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """A request. In `path` and `body`, $NAME is what an earlier answer gave; `keeps` says where in this one.

    There, a number is a place in a list, and the name of a truth is the first of a list for which it holds.
    """

    title: str
    text: str
    method: str
    path: str
    body: str = ""
    keeps: dict[str, str] = field(default_factory=dict)


STEPS = (
    Step(
        "Find a doctor",
        "The answer is a list. Each of them has the address of its free times.",
        "GET",
        "/api/v1/doctors?keyword=dentist&results_per_page=1",
        keeps={"DOCTOR": "0.id", "SLOTS": "0.slots_url"},
    ),
    Step(
        "See the free times",
        "Take the `start` and the `clinic_id` of one that `fits`.",
        "GET",
        "$SLOTS",
        keeps={"START": "slots.fits.start", "CLINIC": "slots.fits.clinic_id"},
    ),
    Step(
        "Hold one",
        "It is yours for five minutes; nobody else can have it meanwhile. If somebody was quicker, the answer is 409 "
        "with the code `slot_held`, other times, and whether you can wait for this one.",
        "POST",
        "/api/v1/providers/$DOCTOR/holds",
        '{"clinic_id": $CLINIC, "start": "$START"}',
        keeps={"HOLD": "url"},
    ),
    Step(
        "Pay",
        "How a gateway calls a way to pay; the demo’s sandbox knows `sandbox-ok`. Where the answer has a `payment` "
        "with a `url`, the patient pays there. Where nothing is paid online, any text will do.",
        "POST",
        "$HOLD/payment",
        '{"method": "sandbox-ok"}',
        keeps={"APPOINTMENT": "url"},
    ),
    Step(
        "Read the appointment",
        "Its state is booked. Send DELETE to the same address to cancel it.",
        "GET",
        "$APPOINTMENT",
        keeps={"STATE": "state"},
    ),
)
