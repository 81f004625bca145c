"""What fields of the office's forms are called, where an error is listed away from its field."""

from __future__ import annotations

from healthplus.country import HERE
from healthplus.web.languages import N_

LABELS: dict[str, str] = {
    "name": N_("Name"),
    "log_on": N_("Log-on ID"),
    "clinic": N_("Clinic’s number"),
    "provider": N_("Doctor"),
    "address": N_("Address"),
    "city": N_("City"),
    "state": N_("State"),
    "postal_code": HERE.postal_code.label,
    "phone": N_("Phone"),
    "latitude": N_("Latitude"),
    "longitude": N_("Longitude"),
    "fee": N_("Fee"),
    "funding": N_("Paid"),
    "specialities": N_("Specialities"),
    "languages": N_("Languages"),
    "qualifications": N_("Qualifications"),
    "registration": N_("Registration number"),
    "council": N_("Council"),
    "practising_since": N_("Practising since"),
    "length_minutes": N_("Minutes"),
    "buffer_minutes": N_("Minutes kept free after it"),
    "preparation": N_("What to do before"),
    "per_minute": N_("Requests a minute"),
    "per_day": N_("Requests a day"),
    "expires_days": N_("Ends after days"),
    "happened": N_("What happened, when and where"),
    "data": N_("Which personal data"),
    "people": N_("How many people it concerns"),
    "measures": N_("What was done about it"),
    "reason": N_("Why"),
    "last_day": N_("Last day"),
}
"""By the name of the field; what has none here says itself what it is about."""
