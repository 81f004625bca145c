-- Listings of the release before know tests by their old table, and no prices of visits.
CALL search.refresh_all();
