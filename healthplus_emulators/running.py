"""Keeps an emulated gateway running beside a test, and speaks with it as one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from healthplus_emulators.emulator import Keys
from healthplus_emulators.faults import FaultPlan

_END_SECONDS_MAX = 10


class Running(NamedTuple):
    """An emulator: where it is, its keys, and the file of its ledger."""

    url: str
    keys: Keys
    ledger: Path

    async def plan_faults(self, plan: FaultPlan) -> Counter[str]:
        """Have it play other faults; return how often it has played each until now."""
        return Counter(await self._post("fault-plan", plan))

    async def control(self, step: str, **asked: str) -> Any:
        """Have it do what a test asks for; return what it says. Raises KeyError for what it does not know."""
        return await self._post(f"control/{step}", asked)

    async def pass_time(self, seconds: float) -> None:
        """Put its clock forward."""
        await self._post("control/pass-time", {"seconds": str(seconds)})

    async def _post(self, path: str, body: object) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/{path}", data=msgspec.json.encode(body)) as response,
        ):
            answer = await response.read()
        if response.status != 200:
            raise KeyError(answer.decode())
        return msgspec.json.decode(answer)


@contextlib.contextmanager
def running_emulator(
    gateway: str, folder: Path, keys: Keys, webhook_url: str | None = None, port: int = 0
) -> Iterator[Running]:
    """Run an emulator for this block; it ends with this process, however that ends."""
    command = [sys.executable, "-m", "healthplus_emulators", gateway, "--port", str(port), "--folder", str(folder)]
    command += ["--until-stdin-ends", *(["--webhook-url", webhook_url] if webhook_url else [])]
    environment = {
        **os.environ,
        "EMULATOR_SECRET": keys.secret,
        "EMULATOR_WEBHOOK_SECRET": keys.webhook_secret,
        "EMULATOR_KEY_ID": keys.key_id,
    }
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, f"the {gateway} emulator did not start"
            yield Running(url, keys, folder / f"{gateway}.sqlite3")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(_END_SECONDS_MAX)
