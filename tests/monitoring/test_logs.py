"""The log's lines, as text and as JSON, and the ids that requests may bring."""

from __future__ import annotations

import json
import logging

import pytest

from healthplus import logs
from healthplus.logs import accepted_request_id, new_request_id


@pytest.mark.parametrize(
    "text", ["a", "Z", "abc-1", "7f3c2b9e-0d1a-4c5b-8e6f-1234567890ab", "x" * 128, "proxy:eu.7_1", "1a"]
)
def test_an_id_that_is_one_is_kept(text: str) -> None:
    assert accepted_request_id(text.encode()) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "x" * 129, "a b", "a\n", "a\tb", "<a>", "a'b", 'a"b', "a;b", "a/b", "é"),
        *("9812345670", "4111-1111-1111-1111", "739150", "+919812345670", "2026-03-01", "-._:"),
    ],
)
def test_one_that_could_be_something_else_is_not(text: str) -> None:
    """Not what breaks a line or a page, and not what may be a phone number, a card or a code."""
    assert accepted_request_id(text.encode()) is None


def test_new_ids_are_accepted_and_differ() -> None:
    ids = {new_request_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(accepted_request_id(one.encode()) or one.isdecimal() for one in ids)


def record(text: str, *args: object, error: Exception | None = None) -> logging.LogRecord:
    found = None
    if error is not None:
        try:
            raise error
        except Exception as raised:
            found = (type(raised), raised, raised.__traceback__)
    return logging.LogRecord("healthplus.x", logging.WARNING, __file__, 1, text, args, found)


def test_an_entry_is_one_json_object_on_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ValueError("wrong\nin two lines")
    error.backend_pid = 4711  # type: ignore[attr-defined]
    token = logs.request_id.set("abc-1")
    try:
        line = logs._formatter("json").format(record("it is %s\n", "so “here”", error=error))
    finally:
        logs.request_id.reset(token)
    assert "\n" not in line
    entry = json.loads(line)
    assert entry["traceback"].startswith("Traceback")
    assert entry["time"].endswith("Z")
    assert (entry["level"], entry["logger"], entry["message"]) == ("WARNING", "healthplus.x", "it is so “here”\n")
    assert (entry["request_id"], entry["error"], entry["backend"]) == ("abc-1", "ValueError", 4711)
    assert "request_id" not in json.loads(logs._formatter("json").format(record("alone")))


def test_text_has_the_time_the_level_and_the_request() -> None:
    token = logs.request_id.set("abc-1")
    try:
        line = logs._formatter("text").format(record("it is %s", "so"))
    finally:
        logs.request_id.reset(token)
    assert line.split(" ", 1)[1] == "WARNING it is so [request abc-1]"
    assert logs._formatter("text").format(record("it is so")).endswith("WARNING it is so")
