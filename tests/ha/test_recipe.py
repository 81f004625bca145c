"""The files of deploy/ fit each other, the product and the programs that read them; `make test-ha` runs them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]

from healthplus.backup.source import SLOT
from healthplus.settings import Settings
from healthplus.web.traffic import LISTED
from tests.ha.cluster import DEPLOY
from tests.ha.machines import read_environment

BALANCER = DEPLOY / "balancer/haproxy.cfg"
FINDER = DEPLOY / "app/haproxy.cfg"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="`make test-ha` installs HAProxy")
@pytest.mark.parametrize("config", [BALANCER, FINDER], ids=lambda path: str(path.parent.name))
def test_haproxy_takes_its_configuration(config: Path) -> None:
    names = set(re.findall(r"\$\{(\w+)\}", config.read_text("utf-8")))
    assert names
    environment = dict.fromkeys(names, "127.0.0.1")
    environment |= {name: "10.0.0.1:8000" for name in names if name.startswith("APP_")}
    done = subprocess.run(
        ["haproxy", "-c", "-f", config],  # noqa: S607
        env={"PATH": "/usr/sbin:/usr/bin", **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def key_of(path: str) -> str | None:
    """Return what the balancer would choose a machine by, for a path; None: by the client's address."""
    text = BALANCER.read_text("utf-8")
    key = None
    for name, field in re.findall(r"set-var\(txn\.key\) path,field\((\d),/\) if (\w+)", text):
        kind, pattern = re.search(rf"acl {field} path_(\w+) (\S+)", text).groups()  # type: ignore[union-attr]
        if path.startswith(pattern) if kind == "beg" else re.search(pattern, path):
            key = path.split("/")[int(name) - 1]
    return key


def test_all_that_is_about_one_provider_goes_to_one_machine() -> None:
    for route in LISTED:
        path = route.partition(" ")[2].replace("{provider_id}", "12345")
        filled = re.sub(r"\{\w+\}", "x", path)
        for address in {filled, f"/hi{filled}"} if not filled.startswith("/api/") else {filled}:
            is_busy = "12345" in path and not path.startswith(("/office/", "/desk/"))  # staff are few
            assert key_of(address) == ("12345" if is_busy else None), address
    assert any("{provider_id}" in route for route in LISTED)


def test_balancers_never_ask_whether_bookings_can_be_made() -> None:
    """What keeps them from being made mostly does so on every machine, and all would be taken away."""
    for config in (BALANCER, FINDER):
        text = config.read_text("utf-8")
        asked = re.findall(r"option httpchk GET (\S+)", text)
        assert asked == ["/api/v1/live" if config is BALANCER else "/primary"]
    assert "on-marked-down" not in BALANCER.read_text("utf-8")  # a process that drains answers 503, and finishes


def test_a_commit_is_on_two_machines_and_a_dead_main_is_replaced_in_time() -> None:
    patroni = yaml.safe_load((DEPLOY / "database/patroni.yml").read_text("utf-8"))
    dcs = patroni["bootstrap"]["dcs"]
    assert dcs["loop_wait"] + 2 * dcs["retry_timeout"] <= dcs["ttl"] == 20
    assert (dcs["synchronous_mode"], dcs["primary_start_timeout"]) == (True, 0)
    parameters = dcs["postgresql"]["parameters"]
    for name in ("synchronous_commit", "fsync", "full_page_writes"):
        assert parameters[name] == "on", name
    assert all("trust" not in line for line in patroni["postgresql"]["pg_hba"])


def test_the_back_up_may_replicate_and_keeps_its_slot() -> None:
    patroni = yaml.safe_load((DEPLOY / "database/patroni.yml").read_text("utf-8"))
    assert patroni["bootstrap"]["dcs"]["slots"] == {SLOT: {"type": "physical"}}
    role = urlsplit(read_environment(DEPLOY / "app/backup.env")["HEALTHPLUS_BACKUP_URL"]).username
    rules = [line.split() for line in patroni["postgresql"]["pg_hba"]]
    assert any("replication" in rule[1].split(",") and role in rule[2].split(",") for rule in rules)


def test_the_app_may_write_where_it_backs_up_to() -> None:
    folder = read_environment(DEPLOY / "app/backup.env")["HEALTHPLUS_BACKUP_FOLDER"]
    assert f"ReadWritePaths=-{folder}" in section("app/healthplus.service", "Service")
    assert "EnvironmentFile=-/etc/healthplus/backup.env" in section("app/healthplus.service", "Service")
    backs_up = [name for name, one in COMPOSE["services"].items() if "backup.env" in one.get("env_file", ())]
    assert backs_up == ["app1"]
    assert any(folder.startswith(volume.partition(":")[2]) for volume in COMPOSE["services"]["app1"]["volumes"])


def section(path: str, name: str) -> list[str]:
    """Return the lines of a section of a unit."""
    parts = re.split(r"^\[(\w+)\]\n", (DEPLOY / path).read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[name].splitlines()


@pytest.mark.parametrize("unit", ["app/healthplus.service", "database/healthplus-database.service", "always.conf"])
def test_what_ends_is_started_again_however_often(unit: str) -> None:
    """By default systemd gives up after five times in ten seconds, as where nothing is there yet after a power cut."""
    assert "StartLimitIntervalSec=0" in section(unit, "Unit")
    assert "Restart=always" in section(unit, "Service")


def test_the_example_of_the_app_has_settings_only() -> None:
    example = read_environment(DEPLOY / "app/app.env", HEALTHPLUS_SECRET_KEY="x" * 32)
    example |= read_environment(DEPLOY / "app/backup.env")
    settings = Settings.from_environment(example)
    assert settings.as_environment().items() >= example.items()


@pytest.mark.parametrize(("example", "service"), [("database.env", "db1"), ("etcd.env", "etcd1")])
def test_containers_are_told_what_machines_are_told(example: str, service: str) -> None:
    variables = read_environment(DEPLOY / "database" / example)
    told = COMPOSE["services"][service]["environment"]
    secret = {name for name in variables if name.endswith("_PASSWORD")}
    assert set(told) == set(variables) - secret
    addresses = {"ETCD_LISTEN", "PATRONI_RESTAPI", "PATRONI_POSTGRESQL_LISTEN", "PATRONI_POSTGRESQL_CONNECT"}
    for name in set(told) - {one for one in told if any(one.startswith(start) for start in addresses)}:
        assert ":" in variables[name] or variables[name] == told[name] or name == "ETCD_NAME", name


def test_containers_give_up_dead_connections_as_machines_do() -> None:
    name, value = (DEPLOY / "database/sysctl.conf").read_text("utf-8").splitlines()[-1].split(" = ")
    for service in ("etcd1", "etcd2", "etcd3", "db1", "db2", "db3"):
        assert COMPOSE["services"][service]["sysctls"] == {name: int(value)}


def test_containers_are_made_of_packages_of_debian_and_pypi() -> None:
    built = [one for one in COMPOSE["services"].values() if "build" in one]
    first_lines = {one["image"]: one["build"]["dockerfile_inline"].splitlines()[0] for one in built}
    # The etcd of bookworm lets a main that was frozen take its place back (docs/decisions/0049).
    assert first_lines.pop("healthplus-etcd") == "FROM debian:trixie-slim"
    assert set(first_lines.values()) == {"FROM debian:bookworm-slim"}
    images = {one["image"] for one in built}
    assert {one["image"] for one in COMPOSE["services"].values()} == images
