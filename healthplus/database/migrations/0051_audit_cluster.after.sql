-- The chain takes the entries of a cluster by their transactions.
DROP INDEX CONCURRENTLY IF EXISTS staff.audit_entry_cluster;
CREATE INDEX CONCURRENTLY audit_entry_cluster ON staff.audit_entry (cluster, xid);
DROP INDEX CONCURRENTLY IF EXISTS staff.audit_link_cluster;
CREATE INDEX CONCURRENTLY audit_link_cluster ON staff.audit_link (cluster, link);
DROP INDEX CONCURRENTLY IF EXISTS staff.audit_entry_xid;
