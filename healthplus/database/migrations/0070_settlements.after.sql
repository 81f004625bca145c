-- Refunds of some days, to see which no settlement has.
DROP INDEX CONCURRENTLY IF EXISTS ledger.refund_processed_at;
CREATE INDEX CONCURRENTLY refund_processed_at ON ledger.refund USING brin (processed_at);
