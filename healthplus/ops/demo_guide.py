"""What the demo prints when it starts, and its page /demo says: whom to be, and what to try.

What is printed besides has commands that work when pasted.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from healthplus.accounts.consent import CURRENT
from healthplus.booking.book import Book
from healthplus.database import Database, load
from healthplus.demo import DemoGuide, WaitingRoom
from healthplus.ops.demo_data import DemoData
from healthplus.ops.demo_staff import STAFF

_queries = load(Path(__file__).with_name("demo_guide.sql"))
_ZONE = ZoneInfo("Asia/Kolkata")
_DAYS = 4
_LASTING = timedelta(hours=1)
_READ_ID = """python3 -c 'import json,sys; body=json.load(sys.stdin); print(body.get("id") or sys.exit(str(body)))'"""


async def demo_guide(database: Database, data: DemoData, address: str) -> DemoGuide:
    """Return what the page says; the times in it are free at this moment."""
    return DemoGuide(
        await _waiting_room(database, Book(database), data.nearly_full_doctor_id),
        next(iter(data.patient_tokens)),
        data.patient_phone,
        {log_on: role for log_on, (_, role) in STAFF.items()},
        data.staff_password,
        # Browsers have passkeys on this machine by this name only.
        f"{address.replace('//127.0.0.1', '//localhost')}/desk",
    )


async def demo_text(database: Database, data: DemoData, guide: DemoGuide, address: str) -> str:
    """Return what is printed, with addresses below `address`; the times in it are free at this moment."""
    book = Book(database)
    tomorrow = (await book.now()).replace(microsecond=0) + timedelta(days=1)
    doctor = data.two_clinics_doctor_id
    in_four_days = tomorrow + timedelta(days=4)
    free = [row for row in await book.chart(doctor, None, tomorrow, in_four_days, 1, None) if row["fits"]]
    if len(free) < 2:  # somebody has booked them all
        return f"\nHealthPlus is starting on {address}; its API is described at {address}/api/v1/openapi.json"
    (first, first_token), (second, second_token) = data.patient_tokens.items()
    first_slot, last_slot = (
        f'{{"clinic_id": {row["clinic_id"]}, "start": "{_local(row["starts_at"])}"}}' for row in (free[0], free[-1])
    )
    window = (
        f'{{"clinic_id": {free[-1]["clinic_id"]}, "from": "{_local(free[-1]["starts_at"])}", '
        f'"to": "{_local(free[-1]["ends_at"])}"}}'
    )
    return f"""
HealthPlus is starting: open {address} in a browser ({address}/hi for Hindi); {address}/demo says what to try.
{_waiting_text(guide.waiting_room, address)}
{_services(guide, address)}
{_desk(guide)}
Its programming interface, in another terminal:

# Two patients, {first} and {second}, a developer's key, and a function that sends requests as one of them
export FIRST={first_token} SECOND={second_token} DOCTOR={address}/api/v1/providers/{doctor}
export KEY={data.developer_key}
ask() {{ curl -s -w '\\n' -H "Authorization: Bearer $1" -H "Api-Dev-Key: $KEY" -H "Idempotency-Key: $(date +%s%N)" \\
  -H 'Content-Type: application/json' "${{@:2}}"; }}

# Find a doctor; the key may stand in the address, too
curl -s "{address}/api/v1/doctors?api_dev_key=$KEY&city=Pune&keyword=dentist&results_per_page=3"

# The slots of a doctor who works at two clinics
ask $FIRST $DOCTOR/slots

# Hold one for five minutes, then pay for it
HOLD=$(ask $FIRST $DOCTOR/holds -d '{first_slot}' | {_READ_ID})
ask $FIRST $DOCTOR/holds/$HOLD/payment -d '{{"method": "sandbox-ok"}}'

# One holds another slot; the other tries to hold it, and joins the queue
HELD=$(ask $FIRST $DOCTOR/holds -d '{last_slot}' | {_READ_ID})
ask $SECOND $DOCTOR/holds -d '{last_slot}'
WAIT=$(ask $SECOND $DOCTOR/waits -d '{window}' | {_READ_ID})

# The first releases it while the second polls for changes: it is offered to the one who waits, and to nobody else
VERSION=$(ask $SECOND $DOCTOR/waits/$WAIT | python3 -c 'import json,sys; print(json.load(sys.stdin)["version"])')
ask $SECOND "$DOCTOR/waits/$WAIT?after=$VERSION" & sleep 1
ask $FIRST -X DELETE $DOCTOR/holds/$HELD; wait
ask $SECOND -X POST $DOCTOR/waits/$WAIT/accept -d '{{}}'

# Sign in by phone: nothing is sent; the code is shown at {address}/demo
CODE_ID=$(ask "" {address}/api/v1/codes -d '{{"phone": "98765 43210", "consent": "{CURRENT.version}"}}' | {_READ_ID})
read -p 'Code: ' CODE; ask "" {address}/api/v1/codes/$CODE_ID/verify -d "{{\\"code\\": \\"$CODE\\"}}"

# Everything the API can do
ask $FIRST {address}/api/v1/openapi.json

Stop with Ctrl-C; what was booked stays."""


async def _waiting_room(database: Database, book: Book, nearly_full_id: int) -> WaitingRoom | None:
    """Return where to try the queue alone, where one time of a day is left; None where no doctor has a free time."""
    now = (await book.now()).replace(microsecond=0)
    scarce = await database.fetch(_queries.doctors_with_full_days, now)
    best: tuple[int, int, int, int, date] | None = None
    for doctor in (nearly_full_id, *(row["provider_id"] for row in scarce)):
        days = [(one.left, one.free, doctor, one.clinic_id, one.day) for one in await _days_of(book, doctor, now)]
        best = min(days if best is None else [best, *days], default=None)
        if best is not None and best[0] == 1:
            break
    if best is None:
        return None
    _, free, doctor, clinic, day = best
    return WaitingRoom(f"/doctor/{doctor}/-/{clinic}?day={day}", free)


def _waiting_text(room: WaitingRoom | None, address: str) -> str:
    """Return how to try the queue alone; "" where no doctor has a free time."""
    if room is None:
        return ""
    free = room.free
    left, then = ("the one free time", "it is") if free == 1 else (f"one of the {free} free times", "once all are")
    return f"""
The waiting room, with two phones, or two browsers that do not know of each other (one a private window):
  1. On the first, hold {left} of a doctor who is nearly full:
     {address}{room.path}
     Sign in with any mobile number, say 98765 12345; its code is shown at {address}/demo
  2. On the second, with another number, open the same address: {then} held, join the queue.
  3. On the first, give the time back, or let its five minutes pass: the second is offered it, at once.
"""


class _Day(NamedTuple):
    """A day of a doctor at a clinic with `free` times. `left`: with those that are held, and may soon be free again."""

    clinic_id: int
    day: date
    free: int
    left: int


async def _days_of(book: Book, doctor: int, now: datetime) -> list[_Day]:
    """Return the next days, each as a whole, that have a free time for an hour yet."""
    last = datetime.combine(now.astimezone(_ZONE).date() + timedelta(days=_DAYS), time(), _ZONE)
    free, left, lasting = Counter[tuple[int, date]](), Counter[tuple[int, date]](), set()
    for row in await book.chart(doctor, None, now, last, 1, None):
        where = row["clinic_id"], row["starts_at"].astimezone(_ZONE).date()
        free[where] += row["fits"]
        left[where] += row["fits"] or row["state"] == "held"
        if row["fits"] and row["starts_at"] > now + _LASTING:
            lasting.add(where)
    return [_Day(*where, free[where], left[where]) for where in sorted(lasting)]


def _services(guide: DemoGuide, address: str) -> str:
    """Return what to try with services, and as a patient who has appointments, where there is one."""
    text = f"""Services, each with its length and price:
  * Search for cbc in Pune, choose tests of a lab, and pay for them together: {address}/find?need=cbc&place=Pune
  * Search for root canal in Pune, and see when an hour is free: {address}/find?need=root+canal&place=Pune
"""
    if guide.patient_phone:
        text += f"""  * Sign in with {guide.patient_phone} as {guide.patient}, who has been to a lab and to doctors:
    see a receipt, rate one of them, or cancel what is ahead and see what is returned: {address}/appointments
"""
    return text


def _desk(guide: DemoGuide) -> str:
    """Return how to log in as the clinics' people."""
    called = {"desk": "front desk", "practitioner": "doctor", "ward": "ward administrator"}
    people = ", ".join(f"{log_on} ({called.get(role, role)})" for log_on, role in guide.staff.items())
    return f"""The desk, for the clinics' people: {guide.desk_url}
  * Log in as one of {people},
    each with the password {guide.staff_password}
"""


def _local(instant: datetime) -> str:
    return instant.astimezone(_ZONE).isoformat()
