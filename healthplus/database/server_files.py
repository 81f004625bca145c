"""What the embedded server's configuration says: its settings, its roles, and which account may be which."""

from __future__ import annotations

import pwd
import sys

from healthplus.database.logins import STAFF_ROLES, login_of

OWNER_ROLE, APP_ROLE = "healthplus", "healthplus_app"
"""The roles of the embedded database: the owner migrates; the product works as the other, which owns nothing."""

STAFF_LOGINS = tuple(login_of(APP_ROLE, role) for role in STAFF_ROLES)

_HBA = """# Written by HealthPlus at every start.
local all {owner} peer map={owner}
local replication {owner} peer map={owner}
local all {visitors} peer map={app}
"""

# For a machine with 4 GB and 4 cores that the product shares. No setting gives up durability.
SETTINGS = {
    "listen_addresses": "",
    "log_error_verbosity": "terse",  # details of an error quote rows: phone numbers, say
    "port": "5432",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "shared_buffers": "1GB",
    "effective_cache_size": "2GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "wal_compression": "on",
    # After a crash: one call for the whole disk instead of one for each of thousands of files, which took seconds.
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    # A back-up that does not follow any more must not fill the disk: it then begins again with a full one.
    "max_slot_wal_keep_size": "4GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    # Parallel workers need /dev/shm, of which a container has 64 MB, and steal cores from the bookings.
    "max_parallel_workers_per_gather": "0",
    # Queues and holds churn small tables.
    "autovacuum_naptime": "15s",
    "idle_in_transaction_session_timeout": "60s",
    "log_lock_waits": "on",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def quoted(value: object) -> str:
    """Return a value as postgresql.conf has it."""
    return "'{}'".format(str(value).replace("\\", "\\\\").replace("'", "''"))


def access_files(account: pwd.struct_passwd, app_account: pwd.struct_passwd | None) -> dict[str, str]:
    """Return pg_hba.conf and pg_ident.conf by their names, for a server that runs under `account`."""
    owners = {"root", account.pw_name}
    visitors = {app_account.pw_name} if app_account else set()
    rules = _HBA.format(owner=OWNER_ROLE, app=APP_ROLE, visitors=",".join((APP_ROLE, *STAFF_LOGINS)))
    maps = "".join(f'{OWNER_ROLE} "{name}" {OWNER_ROLE}\n' for name in sorted(owners))
    maps += "".join(
        f'{APP_ROLE} "{name}" {role}\n' for role in (APP_ROLE, *STAFF_LOGINS) for name in sorted(owners | visitors)
    )
    return {"pg_hba.conf": rules, "pg_ident.conf": maps}


def as_app_role(dsn: str) -> str:
    """Return the DSN of the role that the product works as, from the owner's DSN of an embedded server."""
    return dsn.replace(f"//{OWNER_ROLE}@", f"//{APP_ROLE}@", 1)
