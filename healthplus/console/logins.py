"""The pools of the database's logins for staff: one for each role, opened when somebody of that role first needs it."""

from __future__ import annotations

from healthplus.database import REQUESTS, Database
from healthplus.database.logins import IS_SHARED, as_login, login_of
from healthplus.staff.rights import ROLES, Role


class Logins:
    """Which pool serves whom. On a server that has no logins for staff, that of the product itself serves all."""

    def __init__(self, pools: dict[Role, Database], *, is_shared: bool = False) -> None:
        self._pools = pools
        self._is_shared = is_shared

    @classmethod
    async def find(cls, database: Database, dsn: str, key: str, size_max: int) -> Logins:
        """Return the pools of `size_max` connections each, beside that of the product, which is asked what there is.

        `dsn` is the address of that one, and `key` the product's secret key.
        """
        if await database.fetch_value(IS_SHARED):
            return cls(dict.fromkeys(ROLES, database), is_shared=True)
        app_role = await database.fetch_value("SELECT session_user")
        pools = {}
        for role in ROLES:
            own = as_login(dsn, login_of(app_role, role), key)
            pools[role] = Database.unopened(own, size_max, REQUESTS, f"healthplus {role}")
            pools[role].space, pools[role].slow_seconds = database.space, database.slow_seconds
        return cls(pools)

    def of(self, role: Role) -> Database:
        return self._pools[role]

    def own(self) -> dict[str, Database]:
        """Return the pools that are not the product's, by the name under which their use is measured."""
        return {} if self._is_shared else {f"staff_{role}": pool for role, pool in self._pools.items()}

    async def close(self) -> None:
        """Close the pools, but for that of the product."""
        for pool in self.own().values():
            await pool.close()
