-- A ticket may be called: asked, with others, whether it takes a slot that was let go before (docs/decisions/0033). A value added to a type
-- cannot be used by the transaction that adds it.
ALTER TYPE booking.ticket_state ADD VALUE IF NOT EXISTS 'called' AFTER 'offered';
ALTER TYPE notices.kind ADD VALUE IF NOT EXISTS 'called';
