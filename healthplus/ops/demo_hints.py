"""What the demo prints to try next: commands that work when pasted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from healthplus.booking.book import Book
from healthplus.database import Database
from healthplus.ops.demo_data import DemoData

_READ_ID = """python3 -c 'import json,sys; print(json.load(sys.stdin)["id"])'"""


async def demo_hints(database: Database, data: DemoData, address: str) -> str:
    """Give the text; the times in it are free as it is made."""
    book = Book(database)
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    doctor, busy = data.two_clinics_doctor_id, data.nearly_full_doctor_id
    in_four_days = tomorrow + timedelta(days=4)
    free = [row for row in await book.chart(doctor, None, tomorrow, in_four_days, 1, None) if row["fits"]]
    held = [row for row in await book.chart(busy, None, tomorrow, in_four_days, 1, None) if row["state"] == "held"]
    tokens = list(data.patient_tokens.items())
    parts = [
        f"""
HealthPlus is starting on {address}. In another terminal, try:

# Two patients' tokens
export FIRST={tokens[0][1]} SECOND={tokens[1][1]}

# The slots of a doctor who works at two clinics
curl -s '{address}/api/v1/providers/{doctor}/slots'
""",
    ]
    if free:
        parts.append(f"""
# Hold one for five minutes, then pay for it
HOLD=$(curl -s {address}/api/v1/providers/{doctor}/holds \\
  -H "Authorization: Bearer $FIRST" -H "Idempotency-Key: $(date +%s%N)" -H 'Content-Type: application/json' \\
  -d '{{"clinic_id": {free[0]["clinic_id"]}, "start": "{_local(free[0]["starts_at"])}"}}' | {_READ_ID})
curl -s {address}/api/v1/providers/{doctor}/holds/$HOLD/payment \\
  -H "Authorization: Bearer $FIRST" -H "Idempotency-Key: $(date +%s%N)" -H 'Content-Type: application/json' \\
  -d '{{"method": "sandbox-ok"}}'
""")
    if held:
        clinic_id, start, end = held[0]["clinic_id"], _local(held[0]["starts_at"]), _local(held[0]["ends_at"])
        parts.append(f"""
# Ask for a slot that somebody else holds, then wait for it: within five minutes it is offered to you
curl -s {address}/api/v1/providers/{busy}/holds \\
  -H "Authorization: Bearer $SECOND" -H "Idempotency-Key: $(date +%s%N)" -H 'Content-Type: application/json' \\
  -d '{{"clinic_id": {clinic_id}, "start": "{start}"}}'
WAIT=$(curl -s {address}/api/v1/providers/{busy}/waits \\
  -H "Authorization: Bearer $SECOND" -H "Idempotency-Key: $(date +%s%N)" -H 'Content-Type: application/json' \\
  -d '{{"clinic_id": {clinic_id}, "from": "{start}", "to": "{end}"}}' | {_READ_ID})
watch -n 20 "curl -s {address}/api/v1/providers/{busy}/waits/$WAIT -H 'Authorization: Bearer $SECOND'"
""")
    parts.append(f"""
# Everything the API can do
curl -s {address}/api/v1/openapi.json

Stop with Ctrl-C; what was booked stays.""")
    return "".join(parts)


def _local(instant: datetime) -> str:
    return instant.astimezone(ZoneInfo("Asia/Kolkata")).isoformat()
