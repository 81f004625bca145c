"""What a Sentry server is told, as it arrives there: that there was a fault, and nothing that was typed."""

from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sentry_sdk

from healthplus import logs
from healthplus.errors import BadInput
from healthplus.monitoring.faults import Faults
from healthplus.monitoring.sentry import open_sentry
from healthplus.settings import Settings
from tests.e2e.test_logs import CARD, NATIONAL, STRAY_CODE, STRAY_TOKEN, hits


class SentryServer:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bodies.append((gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://public@127.0.0.1:{self.http.server_port}/1"


@pytest.fixture
def server() -> Iterator[SentryServer]:
    server = SentryServer()
    thread = threading.Thread(target=server.http.serve_forever)
    thread.start()
    yield server
    sentry_sdk.get_client().close()
    init(None)
    server.http.shutdown()
    server.http.server_close()
    thread.join()


def init(dsn: str | None) -> None:
    """Have the package send what it is given; what it does by itself would change this whole process."""
    sentry_sdk.init(dsn, default_integrations=False, auto_enabling_integrations=False)


def test_a_fault_arrives_without_what_was_typed(server: SentryServer) -> None:
    secrets = {NATIONAL, CARD, STRAY_CODE, STRAY_TOKEN}
    log = logging.Logger("of this test")
    log.addHandler(Faults(open_sentry(server.dsn)))
    token = logs.request_id.set("abc-1")
    try:
        typed = " ".join(secrets)  # in a local variable, in the error's text and in the message
        try:
            Settings.from_environment({"HEALTHPLUS_PORT": typed})
        except BadInput:
            for _ in range(50):
                log.exception("it failed: %s", typed, extra={"route": "GET /x/{id}"})
    finally:
        logs.request_id.reset(token)
    sentry_sdk.flush(5)
    assert len(server.bodies) == 1  # the first of its kind
    (event,) = [line for line in map(json.loads, server.bodies[0].splitlines()) if "exception" in line]
    (said,) = event["exception"]["values"]
    assert (said["type"], said["module"], said["value"]) == ("BadInput", "healthplus.errors", "")
    assert said["stacktrace"]["frames"][-1]["function"] == "Settings.from_environment"
    assert not any({"vars", "context_line", "pre_context"} & frame.keys() for frame in said["stacktrace"]["frames"])
    assert event["tags"] == {"route": "GET /x/{id}", "request_id": "abc-1"}
    assert event["release"].startswith("healthplus@")
    assert {"request", "user", "logentry"} & event.keys() == set()
    assert event.get("breadcrumbs", {"values": []})["values"] == []
    assert hits({"sent": server.bodies[0]}, secrets) == []

    # What the package would send by itself has it all: so the search would find it.
    init(server.dsn)
    sentry_sdk.capture_message(typed)
    sentry_sdk.flush(5)
    assert {canary for canary, _ in hits({"sent": server.bodies[-1]}, secrets)} == secrets


def test_the_package_is_imported_only_for_a_dsn() -> None:
    code = "import sys, healthplus.web.app, healthplus.cli; print('sentry_sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert open_sentry(None) is None
