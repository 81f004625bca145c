-- Identifiers are kept from now on as healthplus/text.py reads them: without invisible marks, with plain dashes, quotes, spaces and digits.
-- Those that came in otherwise follow, so that importing their file again finds them. Where two of them were one, the first is it.
DO $$
DECLARE
    place text;
    kept text;
    plain text;
BEGIN
    FOREACH place IN ARRAY ARRAY['clinic', 'provider'] LOOP
        FOR kept IN EXECUTE format('SELECT identifier FROM directory.%I WHERE identifier ~ ''[^ -~]'' ORDER BY identifier', place) LOOP
            plain := regexp_replace(kept, '[\u00AD\u034F\u061C\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u202A-\u202E\u2060-\u206F\u3164\uFE00-\uFE0F'
                '\uFEFF\uFFA0\uFFF0-\uFFFC]', '', 'g');
            plain := regexp_replace(plain, '[`\u00B4\u02BC\u2018-\u201B\u2032]', '''', 'g');
            plain := normalize(plain, NFKC);
            plain := regexp_replace(plain, '[\u02D7\u2010-\u2015\u2043\u2212]', '-', 'g');
            plain := regexp_replace(plain, '[\u201C-\u201F\u2033]', '"', 'g');
            plain := translate(plain, '٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९০১২৩৪৫৬৭৮৯੦੧੨੩੪੫੬੭੮੯૦૧૨૩૪૫૬૭૮૯୦୧୨୩୪୫୬୭୮୯'
                || '௦௧௨௩௪௫௬௭௮௯౦౧౨౩౪౫౬౭౮౯೦೧೨೩೪೫೬೭೮೯൦൧൨൩൪൫൬൭൮൯', repeat('0123456789', 11));
            plain := btrim(regexp_replace(plain, '[\s\u2800]+', ' ', 'g'));
            IF plain NOT IN (kept, '') THEN
                EXECUTE format('UPDATE directory.%1$I SET identifier = $2 WHERE identifier = $1
                    AND NOT EXISTS (SELECT FROM directory.%1$I WHERE identifier = $2)', place) USING kept, plain;
                COMMIT;
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- A joiner is no end of a word any more: people whose names have one are found by their whole words.
DO $$
DECLARE
    named record;
BEGIN
    FOR named IN SELECT person_id, patient_id, name FROM accounts.person WHERE name ~ '[\u200C\u200D]' LOOP
        UPDATE reception.clinic_person SET words = reception.lexemes(clinic_id, named.patient_id, named.name) WHERE person_id = named.person_id;
        COMMIT;
    END LOOP;
END $$;
