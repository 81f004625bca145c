"""Publishes what all app processes of this machine count, and what the database says, for Prometheus to read.

One process does so, the one that supervises the app processes: so that a count goes on when one of them ends, and what
the database says is there once. It reads the files in which they count (metrics.py); of one that has ended, the counts
are added to those of all that ended before, and its gauges are gone with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from healthplus.errors import Conflict
from healthplus.metrics import METRICS, Histogram, Kind, read_shared
from healthplus.monitoring.figures import Figures
from healthplus.processes import app_account
from healthplus.settings import Settings

logger = logging.getLogger(__name__)

_ADD_UP_SECONDS = 30.0
"""How often the files of processes that have ended are added up, also when nobody reads."""
_FIGURES_SECONDS_MAX = 4.0
_Values = dict[tuple[str, tuple[str, ...]], list[float]]


class Processes(Collector):
    """What the app processes count, in files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ended: _Values = {}
        self._lock = threading.Lock()

    def add_up(self) -> tuple[_Values, int]:
        """Return the values of all processes, those that ended too, and how many live; remove the files of the others.

        An age is here the moment since when.
        """
        with self._lock:
            alive = []
            for path in self._folder.iterdir():
                if path.suffix:  # it is being made
                    continue
                found = read_shared(path)
                if found.is_alive:
                    alive.append(found.values)
                else:
                    counted = {key: value for key, value in found.values.items() if _kind(key) in _LASTING}
                    self._ended = _sum([self._ended, counted])
                    path.unlink()
            return _sum([self._ended, *alive]), len(alive)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all processes together."""
        values, alive = self.add_up()
        yield GaugeMetricFamily("healthplus_app_processes", "App processes that run on this machine.", alive)
        now = time.monotonic()
        families: dict[str, Any] = {}
        for (name, labels), numbers in sorted(values.items()):
            metric = METRICS[name]
            if metric.kind == "histogram":
                assert isinstance(metric, Histogram)
                family = families.setdefault(name, HistogramMetricFamily(name, metric.about, labels=metric.labels))
                *buckets, total = numbers
                bounds = [*(f"{bound:g}" for bound in metric.bounds), "+Inf"]
                family.add_metric(labels, list(zip(bounds, accumulate(buckets), strict=True)), total)
            elif metric.kind == "counter":
                family = families.setdefault(name, CounterMetricFamily(name, metric.about, labels=metric.labels))
                family.add_metric(labels, numbers[0])
            else:
                family = families.setdefault(name, GaugeMetricFamily(name, metric.about, labels=metric.labels))
                family.add_metric(labels, now - numbers[0] if metric.kind == "age" else numbers[0])
        yield from families.values()


_LASTING: tuple[Kind, ...] = ("counter", "histogram")


def _kind(key: tuple[str, tuple[str, ...]]) -> Kind:
    return METRICS[key[0]].kind


def _sum(parts: list[_Values]) -> _Values:
    """Put the values of processes together, each in the way of its kind."""
    whole: _Values = {}
    for part in parts:
        for key, numbers in part.items():
            known = whole.get(key)
            if known is None:
                whole[key] = numbers
                continue
            match _kind(key):
                case "max":
                    whole[key] = [max(known[0], numbers[0])]
                case "age":
                    whole[key] = [min(known[0], numbers[0])]
                case _:
                    whole[key] = [sum(pair) for pair in zip(known, numbers, strict=True)]
    return whole


class Outside(Collector):
    """What the database, its disk and the back-ups say: asked in an event loop of a thread of its own."""

    def __init__(self, figures: Figures, loop: asyncio.AbstractEventLoop) -> None:
        self._figures = figures
        self._loop = loop

    def collect(self) -> Iterator[Metric]:
        """Yield what could be found out in some seconds."""
        found = asyncio.run_coroutine_threadsafe(self._figures.read(), self._loop)
        yield from found.result(_FIGURES_SECONDS_MAX)


@contextlib.contextmanager
def published_metrics(settings: Settings) -> Iterator[Settings]:
    """Publish metrics on the port of the settings, if any, while the block runs; yield settings for the app processes.

    Raises Conflict where the port is in use.
    """
    if settings.metrics_port is None:
        yield settings
        return
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="healthplus-metrics-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if account := app_account(settings.account):
            os.chown(folder, account.pw_uid, account.pw_gid)
        processes, figures = Processes(folder), Figures(settings)
        loop = stack.enter_context(_running_loop(processes))
        stack.callback(_close, figures, loop)
        registry = CollectorRegistry()
        registry.register(_Safely(processes))
        registry.register(_Safely(Outside(figures, loop)))
        try:
            server, serving = start_http_server(settings.metrics_port, settings.metrics_host, registry)
        except OSError as error:
            raise Conflict(
                f"Cannot publish metrics on {settings.metrics_host}, port {settings.metrics_port}: {error.strerror}. "
                "Choose another HEALTHPLUS_METRICS_PORT."
            ) from None
        stack.callback(serving.join)
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        yield replace(settings, metrics_folder=folder)


@contextlib.contextmanager
def _running_loop(processes: Processes) -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread, which also adds up what processes that have ended counted."""
    loop = asyncio.new_event_loop()

    def add_up() -> None:
        loop.call_later(_ADD_UP_SECONDS, add_up)
        processes.add_up()

    loop.call_soon(add_up)
    thread = threading.Thread(target=loop.run_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _close(figures: Figures, loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.suppress(TimeoutError):
        asyncio.run_coroutine_threadsafe(figures.close(), loop).result(_FIGURES_SECONDS_MAX)


class _Safely(Collector):
    """A collector of which what fails is missing, and in the log, and keeps no others from being read."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        try:
            yield from self._collector.collect()
        except Exception:
            logger.exception("some metrics could not be read")
