"""The recipe of deploy/ on machines of this one: three of the database, two of the app, and the balancer here."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from healthplus.database import migrate
from healthplus.settings import Settings
from tests.ha.machines import HUB, HaFailed, Machine, read_environment

DEPLOY = Path(__file__).parents[2] / "deploy"
SOFTWARE = Path("/opt/healthplus-test-ha")
"""Where Patroni and PostgreSQL are installed for the test, with patroni.yml: the database's account can read it."""

ETCD = SOFTWARE / "etcd"
DATABASES = {"db1": "10.77.0.11", "db2": "10.77.0.12", "db3": "10.77.0.13"}
APPS = {"app1": "10.77.0.21", "app2": "10.77.0.22"}
APP_PORT = 8000
PUBLIC_PORT = 80
LOG_PORT = 5514
OWNER, APP, BACKUP = "healthplus", "healthplus_app", "healthplus_backup"
_BACKS_UP = "app1"
_HEALTHY_SECONDS_MAX = 150
_DOWN_SECONDS_MAX = 90

_PROBE_TABLE = """
CREATE TABLE public.ha_probe (id uuid PRIMARY KEY, sent_to text NOT NULL);
GRANT SELECT, INSERT ON public.ha_probe TO healthplus_app;
"""


class Cluster:
    """Everything that runs. `direct` and `owner_dsn` are addresses of databases, with their passwords."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.databases = {name: Machine(name, address, folder / name) for name, address in DATABASES.items()}
        self.apps = {name: Machine(name, address, folder / name) for name, address in APPS.items()}
        self.backups = folder / "backups"
        """The folder on yet another machine that one of the app machines has mounted."""
        roles = ("superuser", "replication", "api", OWNER, APP, BACKUP)
        self._passwords = {who: secrets.token_urlsafe(24) for who in roles}
        self._secret_key = secrets.token_urlsafe(32)
        self._here: list[subprocess.Popen[bytes]] = []

    def dsn(self, role: str, address: str = "127.0.0.1:5000", database: str = "healthplus") -> str:
        """Return the address of the main, or of the server at `address`, for a role."""
        password = self._passwords["superuser" if role == "postgres" else role]
        return f"postgresql://{role}:{password}@{address}/{database}"

    @property
    def machines(self) -> list[Machine]:
        """Return all machines."""
        return [*self.databases.values(), *self.apps.values()]

    async def start(self) -> None:
        """Start the three databases, make the product's own, and start the rest."""
        for name in self.databases:
            await asyncio.to_thread(self.start_database, name)
        leader = await self.healthy()
        await self._make_database(DATABASES[leader])
        environment = {f"DATABASE_{number}": address for number, address in enumerate(DATABASES.values(), start=1)}
        self._run_here("database-haproxy", DEPLOY / "app/haproxy.cfg", environment)
        for name in self.apps:
            await asyncio.to_thread(self.start_app, name)
        environment = {"PUBLIC_ADDRESS": "127.0.0.1", "LOG_ADDRESS": f"127.0.0.1:{LOG_PORT}"}
        environment |= {f"APP_{number}": f"{at}:{APP_PORT}" for number, at in enumerate(APPS.values(), start=1)}
        self._run_here("balancer", DEPLOY / "balancer/haproxy.cfg", environment)
        await self.served()

    def stop(self) -> None:
        """End everything, at once."""
        for machine in self.machines:
            with contextlib.suppress(HaFailed):  # the kernel ends it with this process
                machine.die()
        for process in self._here:
            process.kill()
            process.wait()

    def _run_here(self, name: str, config: Path, environment: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "haproxy", "-db", "-f", config],  # noqa: S607
                env={"PATH": os.environ["PATH"], **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._here.append(process)

    def start_database(self, name: str) -> None:
        """Switch a database machine on, and start what systemd starts there."""
        machine = self.databases[name]
        machine.boot()
        machine.do("sysctl", "-q", "-p", DEPLOY / "database/sysctl.conf")
        machine.do("mkdir", "-m", "755", "/run/healthplus-database")
        machine.do("chown", "postgres:postgres", "/run/healthplus-database")
        for folder, account in (("etcd", "etcd"), ("postgresql", "postgres")):
            (machine.folder / folder).mkdir(mode=0o700, exist_ok=True)
            shutil.chown(machine.folder / folder, account, account)
        at = machine.address
        etcd = read_environment(
            DEPLOY / "database/etcd.env",
            ETCD_NAME=name,
            ETCD_DATA_DIR=str(machine.folder / "etcd/data"),
            ETCD_LISTEN_CLIENT_URLS=f"http://{at}:2379",
            ETCD_ADVERTISE_CLIENT_URLS=f"http://{at}:2379",
            ETCD_LISTEN_PEER_URLS=f"http://{at}:2380",
            ETCD_INITIAL_ADVERTISE_PEER_URLS=f"http://{at}:2380",
            ETCD_INITIAL_CLUSTER=",".join(f"{one}=http://{there}:2380" for one, there in DATABASES.items()),
        )
        machine.start([ETCD], etcd, "etcd", "etcd")
        patroni = read_environment(
            DEPLOY / "database/database.env",
            PATRONI_NAME=name,
            PATRONI_RESTAPI_LISTEN=f"{at}:8008",
            PATRONI_RESTAPI_CONNECT_ADDRESS=f"{at}:8008",
            PATRONI_ETCD3_HOSTS=",".join(f"{there}:2379" for there in DATABASES.values()),
            PATRONI_POSTGRESQL_LISTEN=f"{at}:5432",
            PATRONI_POSTGRESQL_CONNECT_ADDRESS=f"{at}:5432",
            PATRONI_POSTGRESQL_DATA_DIR=str(machine.folder / "postgresql/data"),
            PATRONI_POSTGRESQL_BIN_DIR=str(SOFTWARE / "postgresql/bin"),
            PATRONI_SUPERUSER_PASSWORD=self._passwords["superuser"],
            PATRONI_REPLICATION_PASSWORD=self._passwords["replication"],
            PATRONI_RESTAPI_PASSWORD=self._passwords["api"],
        )
        machine.start([SOFTWARE / "bin/patroni", SOFTWARE / "patroni.yml"], patroni, "patroni", "postgres")

    def start_app(self, name: str) -> None:
        """Switch an app machine on, and start what systemd starts there."""
        machine = self.apps[name]
        machine.boot()
        environment = {f"DATABASE_{number}": address for number, address in enumerate(DATABASES.values(), start=1)}
        machine.start(["haproxy", "-db", "-f", DEPLOY / "app/haproxy.cfg"], environment, "haproxy")
        settings = replace(
            self.backup_settings(),
            data_folder=machine.folder / "data",
            host=machine.address,
            port=APP_PORT,
            processes=1,
            secret_key=self._secret_key,
            public_url="https://healthplus.example",
            trusted_proxies=HUB,
        )
        # What the recipe sets, and no more but what this machine is too small for.
        known = read_environment(DEPLOY / "app/app.env")
        known |= read_environment(DEPLOY / "app/backup.env") if name == _BACKS_UP else {}
        ours = {key: value for key, value in settings.as_environment().items() if key in known}
        ours["HEALTHPLUS_PROCESSES"] = "1"
        # As systemd does, start it again where it ends: its HAProxy may lead the first connection to a standby.
        again = ["sh", "-c", 'until "$@"; do sleep 1; done', "app", sys.executable, "-m", "healthplus", "serve"]
        machine.start(again, {**os.environ, **ours}, "app")

    def backup_settings(self) -> Settings:
        """Return how the product finds the main and the back-ups, here and on the app machines."""
        return Settings(
            self.dsn(APP), self.folder / "data", backup_folder=self.backups, backup_url=self.dsn(BACKUP)
        )  # fmt: skip

    async def _make_database(self, address: str) -> None:
        at = f"{address}:5432"
        connection = await asyncpg.connect(self.dsn("postgres", at, "postgres"))
        try:
            for role, more in ((OWNER, "CREATEROLE"), (APP, "")):
                await connection.execute(f"CREATE ROLE {role} LOGIN {more} PASSWORD '{self._passwords[role]}'")
            password = self._passwords[BACKUP]
            await connection.execute(f"CREATE ROLE {BACKUP} LOGIN REPLICATION PASSWORD '{password}'")
            await connection.execute(f"GRANT pg_monitor TO {BACKUP}")
            await connection.execute(f"CREATE DATABASE healthplus OWNER {OWNER}")
        finally:
            await connection.close()
        connection = await asyncpg.connect(self.dsn("postgres", at))
        try:
            await connection.execute("CREATE EXTENSION earthdistance CASCADE")
            await connection.execute(_PROBE_TABLE)
        finally:
            await connection.close()
        await migrate(self.dsn(OWNER, at), app_role=APP, login_key=self._secret_key)

    def views(self) -> list[dict[str, dict[str, Any]]]:
        """Return what each Patroni that answers says of each machine; one that was cut off may say what was."""
        views = []
        for address in DATABASES.values():
            url = f"http://{address}:8008/cluster"
            with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(url, timeout=1) as answer:
                views.append({member["name"]: member for member in json.load(answer)["members"]})
        return views

    def leaders(self) -> list[str]:
        """Return the machines of which most Patronis say that they are the main."""
        named = Counter(name for view in self.views() for name, one in view.items() if one["role"] == "leader")
        return [name for name, times in named.items() if times > len(DATABASES) / 2]

    async def healthy(self) -> str:
        """Wait until there is a main, and both others follow it, one of them in synchrony; return the main's name."""
        end = time.monotonic() + _HEALTHY_SECONDS_MAX
        while time.monotonic() < end:
            views = await asyncio.to_thread(self.views)
            mains = [self._main_if_healthy(members) for members in views]
            if len(mains) == len(DATABASES) and mains[0] is not None and len(set(mains)) == 1:
                return mains[0]
            await asyncio.sleep(0.3)
        raise HaFailed(f"The databases do not come to follow one main; their logs are in {self.folder}: {views}")

    def _main_if_healthy(self, members: Mapping[str, Mapping[str, Any]]) -> str | None:
        roles = sorted(member["role"] for member in members.values())
        following = [one for one in members.values() if one["role"] != "leader" and one["state"] == "streaming"]
        synchronous = roles == ["leader", "replica", "sync_standby"] or not self.is_synchronous
        leaders = [name for name, one in members.items() if one["role"] == "leader" and one["state"] == "running"]
        return leaders[0] if len(leaders) == 1 and len(following) == len(DATABASES) - 1 and synchronous else None

    is_synchronous = True

    async def configure(self, *, synchronous: bool) -> None:
        """Switch synchronous replication on or off, as an operator would."""
        leader = await self.healthy()
        # Without synchrony, a member that lags behind may be promoted all the same.
        lag = 1 << 20 if synchronous else 1 << 30
        changes = {"synchronous_mode": synchronous, "maximum_lag_on_failover": lag}
        await asyncio.to_thread(self._tell, leader, "PATCH", "/config", changes)
        self.is_synchronous = synchronous
        await self.healthy()
        await asyncio.sleep(3)

    def switch_over(self, leader: str) -> None:
        """Have another machine become the main, as an operator does before the main's machine is worked on."""
        self._tell(leader, "POST", "/switchover", {"leader": leader})

    def lead_etcd(self, name: str) -> None:
        """Have the etcd of a database machine lead the others."""
        statuses = {one: _ask_etcd(address, "status", {}) for one, address in DATABASES.items()}
        wanted = statuses[name]["header"]["member_id"]
        leads = statuses[name]["leader"]
        if leads != wanted:
            leader = next(one for one, status in statuses.items() if status["header"]["member_id"] == leads)
            _ask_etcd(DATABASES[leader], "transfer-leadership", {"targetID": wanted})

    def _tell(self, name: str, method: str, path: str, document: object) -> None:
        body = json.dumps(document).encode()
        request = urllib.request.Request(f"http://{DATABASES[name]}:8008{path}", body, method=method)
        token = base64.b64encode(f"patroni:{self._passwords['api']}".encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            pass

    async def served(self) -> None:
        """Wait until both app machines say that bookings can be made."""
        end = time.monotonic() + _DOWN_SECONDS_MAX
        for name, address in APPS.items():
            while not await asyncio.to_thread(_is_ready, address):
                if time.monotonic() > end:
                    raise HaFailed(f"{name} does not serve; its logs are in {self.folder}.")
                await asyncio.sleep(0.3)

    def kill_server(self, name: str) -> None:
        """Kill PostgreSQL on a machine, and leave its Patroni."""
        if not self.databases[name].signal(signal.SIGKILL, b"postgres"):
            raise HaFailed(f"No PostgreSQL runs on {name}.")


def _ask_etcd(address: str, what: str, document: object) -> dict[str, Any]:
    url = f"http://{address}:2379/v3/maintenance/{what}"
    with urllib.request.urlopen(url, json.dumps(document).encode(), timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}:{APP_PORT}/api/v1/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
