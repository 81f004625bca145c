"""Publishing metrics neither stops the product nor is stopped by what is wrong around it."""

from __future__ import annotations

import os
import socket
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthplus.errors import Conflict
from healthplus.monitoring.exporter import published_metrics
from healthplus.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings with a free port for metrics, and a database that is away."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    yield Settings("postgresql://x@127.0.0.1:9/x", tmp_path, metrics_port=port, account="nobody")
    assert list(tmp_path.glob("healthplus-metrics-*")) == []


def read(settings: Settings) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{settings.metrics_port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_what_does_not_answer_is_missing_and_the_rest_is_there(settings: Settings) -> None:
    with published_metrics(settings):
        text = read(settings)
    assert "healthplus_app_processes 0.0" in text
    assert "healthplus_database_up 0.0" in text
    assert "healthplus_holds" not in text


def test_a_port_that_is_taken_is_said(settings: Settings) -> None:
    with published_metrics(settings), pytest.raises(Conflict, match="HEALTHPLUS_METRICS_PORT"):
        published_metrics(settings).__enter__()


def test_without_a_port_there_is_nothing(tmp_path: Path) -> None:
    settings = Settings(None, tmp_path)
    with published_metrics(settings) as found:
        assert found is settings


@pytest.mark.parametrize("what", ["link", "pipe", "text"])
def test_what_an_app_process_might_put_in_its_folder_stops_nothing(
    settings: Settings, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary of a file that only root may read")
    with published_metrics(settings) as found:
        assert found.metrics_folder is not None
        path = found.metrics_folder / "1-1"
        if what == "link":
            path.symlink_to(secret)
        elif what == "pipe":
            os.mkfifo(path)
        else:
            path.write_text("x" * 70_000 + "\n")
        text = read(settings)
        assert "healthplus_database_up" in text
        path.unlink(missing_ok=True)
        assert "healthplus_app_processes 0.0" in read(settings)
    assert "canary" not in text + caplog.text
