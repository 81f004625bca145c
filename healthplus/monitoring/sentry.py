"""Faults to a Sentry server, where HEALTHPLUS_SENTRY_DSN names one: the facts of `healthplus errors`, and no others.

No values of variables, no bodies, no texts of errors, no addresses of clients: the event is made here, and nothing that
sentry-sdk would gather by itself is switched on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from healthplus.database.release import RELEASE
from healthplus.monitoring.faults import Fault

if TYPE_CHECKING:
    from sentry_sdk.types import Event


def open_sentry(dsn: str | None) -> Callable[[Fault], None] | None:
    """Return what sends a fault, or None without a DSN. The package is imported only here."""
    if dsn is None:
        return None
    import sentry_sdk  # noqa: PLC0415

    sentry_sdk.init(
        dsn=dsn,
        release=f"healthplus@{RELEASE}",
        default_integrations=False,
        auto_enabling_integrations=False,
        # No send_default_pii: it is off, and naming it is deprecated.
        spotlight=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
    )

    def send(fault: Fault) -> None:
        sentry_sdk.capture_event(event_of(fault))

    return send


def event_of(fault: Fault) -> Event:
    """Return the event for the first of some faults."""
    module, _, name = fault.type.rpartition(".")
    frames = [
        {"filename": filename, "function": function, "in_app": True}
        for filename, _, function in (place.partition(":") for place in reversed(fault.place.split(" < ")))
        if filename
    ]
    return {
        "level": "error",
        "fingerprint": [fault.fingerprint],
        "transaction": fault.route,
        "tags": {"route": fault.route, "request_id": fault.request_id or ""},
        "exception": {"values": [{"type": name, "module": module, "value": "", "stacktrace": {"frames": frames}}]},
    }
