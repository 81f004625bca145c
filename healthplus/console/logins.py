"""The pools of the database's logins for staff: one for each role, opened when somebody of that role first needs it."""

from __future__ import annotations

from healthplus.database import REQUESTS, Database
from healthplus.database.logins import as_login, login_of
from healthplus.staff.rights import ROLES, Role

_IS_SHARED = """
SELECT session_user AS app_role, has_schema_privilege('console', 'USAGE') AS is_shared"""


class Logins:
    """Which pool serves whom. On a server that has no logins for staff, that of the product itself serves all."""

    def __init__(self, pools: dict[Role, Database]) -> None:
        self._pools = pools

    @classmethod
    async def find(cls, database: Database, dsn: str, size_max: int) -> Logins:
        """Return the pools of `size_max` connections each, beside that of the product, which is asked what there is."""
        row = await database.fetch_row(_IS_SHARED)
        assert row is not None
        if row["is_shared"]:
            return cls(dict.fromkeys(ROLES, database))
        pools = {}
        for role in ROLES:
            own = as_login(dsn, login_of(row["app_role"], role))
            pools[role] = Database.unopened(own, size_max, REQUESTS, f"healthplus {role}")
            pools[role].space, pools[role].slow_seconds = database.space, database.slow_seconds
        return cls(pools)

    def of(self, role: Role) -> Database:
        return self._pools[role]

    async def close(self) -> None:
        """Close the pools; that of the product, where it is one of them, too."""
        for pool in self._pools.values():
            await pool.close()
