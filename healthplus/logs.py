"""What the log is written like: lines of text, or of JSON; each with the id of the request that it is about, if any."""

from __future__ import annotations

import json
import logging
import random
import re
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""That of the request that this task works for; None in background tasks."""

REQUEST_ID_LENGTH_MAX = 128
# With a letter: digits alone may be a phone number, a code or a card.
_ACCEPTED = re.compile(rb"(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9._:-]{1,%d}" % REQUEST_ID_LENGTH_MAX)


def accepted_request_id(text: bytes) -> str | None:
    """Return the id that a client sent: letters, digits and `.` `_` `:` `-`, with a letter; None where it is none."""
    return text.decode("ascii") if _ACCEPTED.fullmatch(text) else None


def new_request_id() -> str:
    """Return a new id of 24 hexadecimal digits; it only tells requests apart, so anybody may guess it."""
    return f"{random.getrandbits(96):024x}"


def backend_of(error: BaseException | None) -> int | None:
    """Return the process of the database server in which a statement failed (database/pool.py notes it)."""
    return getattr(error, "backend_pid", None)


class _Text(logging.Formatter):
    """A line with the time, the level and the request's id; tracebacks follow."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return _time(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        line = super().formatMessage(record)
        found = request_id.get()
        return line if found is None else f"{line} [request {found}]"


class _Json(logging.Formatter):
    """One JSON object on a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if (found := request_id.get()) is not None:
            line["request_id"] = found
        error = failure_of(record)
        if error is not None:
            line["error"] = type(error).__name__
        if (backend := backend_of(error)) is not None:
            line["backend"] = backend
        if record.exc_info and record.exc_info[0] is not None:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def failure_of(record: logging.LogRecord) -> BaseException | None:
    """Return the error that a record is about: that of its traceback, or the one given as `extra={"failure": ...}`."""
    failure: BaseException | None = getattr(record, "failure", None)
    return failure or (record.exc_info[1] if record.exc_info else None)


def configure_logs(log_format: str) -> None:
    """Have this process write its log to standard error in a format, `text` or `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(_formatter(log_format))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def server_log_config(log_format: str) -> dict[str, Any] | None:
    """Return how the web server writes its own log, to standard error as ours; None: as it does by itself."""
    if log_format == "text":
        return None
    handler = {"formatter": "line", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
    return {
        "formatters": {"line": {"()": _Json}},
        "handlers": {"console": handler},
        "loggers": {"_granian": {"handlers": ["console"], "level": "INFO", "propagate": False}},
    }


def check_log_format(text: str) -> None:
    """Raise ValueError for what is no format; so do the checks of settings (setting_checks.py)."""
    if text not in ("text", "json"):
        raise ValueError(f"must be text or json, not {text!r}.")


def check_sentry_dsn(text: str) -> None:
    """Raise ValueError for what leads to no Sentry server, or where the package for it is not installed."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not (parts.hostname and parts.username and parts.path.strip("/")):
        raise ValueError("must be like https://key@sentry.example/1, as the Sentry server shows it.")
    if find_spec("sentry_sdk") is None:
        raise ValueError("needs the package sentry-sdk, which is not installed: it comes with healthplus[sentry].")


def _formatter(log_format: str) -> logging.Formatter:
    return _Json() if log_format == "json" else _Text()


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
