"""A server on restored files: it replays what was written until a moment, and is then an ordinary one."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from healthplus.database.embedded import EmbeddedServer
from healthplus.errors import EmbeddedServerFailed

_RECOVERY_SECONDS_MAX = 24 * 3600
_LOOK_SECONDS = 0.05
# It may run beside the product, and must not do what the restored configuration says, such as send WAL somewhere.
_SETTINGS = {
    "shared_buffers": "128MB",
    "effective_cache_size": "512MB",
    "hot_standby": "off",
    "archive_mode": "off",
    "autovacuum": "off",
    "recovery_target_action": "promote",
}
_SET_ASIDE = "postgresql.auto.conf"


class RecoveringServer(EmbeddedServer):
    """Starts on the files that `restored` put into `server/data` of `folder`; `recovery` are settings of its own.

    Root and the account that it runs under may connect as any role. What the files themselves say about access and
    settings is not used, and is as it was once the server is stopped.
    """

    _start_seconds_max = _RECOVERY_SECONDS_MAX
    _start_attempts_max = 1

    def __init__(self, folder: Path, recovery: Mapping[str, str], programs_folder: Path | None = None) -> None:
        self._access = {name: folder.absolute() / f"recovery.{name}" for name in ("hba_file", "ident_file")}
        access = {name: str(path) for name, path in self._access.items()}
        super().__init__(folder, {**_SETTINGS, **access, **recovery}, programs_folder=programs_folder)

    def dsn_of(self, role: str, database: str) -> str:
        """Return the address of a database of the started server."""
        role, database, host = (quote(text, safe="") for text in (role, database, str(self._socket_folder)))
        return f"postgresql://{role}@/{database}?host={host}&port=5432"

    def start(self) -> str:
        """Start it, and wait until all is replayed, a day at most. Raises EmbeddedServerFailed."""
        aside = self._data / f"{_SET_ASIDE}.aside"
        if not aside.exists():
            (self._data / _SET_ASIDE).rename(aside)
        dsn = super().start()
        try:
            # pg_ctl waits only for the beginning of a recovery during which nobody may read.
            end = time.monotonic() + _RECOVERY_SECONDS_MAX
            while self._ready_code() != 0:
                if not self.is_running or time.monotonic() > end:
                    raise EmbeddedServerFailed(f"The server did not recover. The end of its log:\n{self.last_words()}")
                time.sleep(_LOOK_SECONDS)
        except BaseException:
            self.stop()
            raise
        return dsn

    def stop(self) -> None:
        """Stop it. Raises EmbeddedServerFailed when it does not stop within a minute."""
        super().stop()
        aside = self._data / f"{_SET_ASIDE}.aside"
        if aside.exists():
            aside.rename(self._data / _SET_ASIDE)

    def _find_app_account(self) -> pwd.struct_passwd | None:
        return self._account if os.geteuid() == 0 else None  # nobody else visits it

    def _write_access(self) -> bool:
        names = "".join(f'recovery "{name}" all\n' for name in sorted({"root", self._account.pw_name}))
        for name, text in (("hba_file", "local all all peer map=recovery\n"), ("ident_file", names)):
            self._access[name].write_text(text)
            self._access[name].chmod(0o644)
        return False
