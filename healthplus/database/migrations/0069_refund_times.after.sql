-- What has gone back in parts is counted as the money of payments is: the last minutes alone are read (0036).
DROP INDEX CONCURRENTLY IF EXISTS ledger.refund_processed_at;
CREATE INDEX CONCURRENTLY refund_processed_at ON ledger.refund USING brin (processed_at);
