-- Today's board, and the letters of tokens (docs/decisions/0067-board.md).

-- The letter of a doctor's tokens at a clinic on a day, kept so that it stays when others come or go meanwhile.
CREATE TABLE reception.letter (
    clinic_id bigint NOT NULL,
    day date NOT NULL,
    provider_id bigint NOT NULL,
    letter text NOT NULL,
    PRIMARY KEY (clinic_id, day, provider_id),
    UNIQUE (clinic_id, day, letter)
);
ALTER TABLE reception.session ADD COLUMN day date;     -- in the clinic's zone; NULL, as letter: a session of before there were letters
ALTER TABLE reception.session ADD COLUMN letter text;
