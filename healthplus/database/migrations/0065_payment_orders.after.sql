-- Who comes back from a gateway's page brings the name of an order. The sandbox has none, so its intents are not in here.
DROP INDEX CONCURRENTLY IF EXISTS payments.intent_order_name;
CREATE INDEX CONCURRENTLY intent_order_name ON payments.intent (order_name) WHERE order_name IS NOT NULL;
