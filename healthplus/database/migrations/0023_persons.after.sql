-- Accounts that the release before made between the table and the trigger that adds their holders.
INSERT INTO accounts.person (patient_id, name, is_holder, created_at, removed_at)
SELECT patient_id, name, true, created_at, erased_at FROM accounts.patient
WHERE NOT EXISTS (SELECT FROM accounts.person WHERE person.patient_id = patient.patient_id AND is_holder);

-- The others whom a patient booked for become persons, those of the latest bookings first, five at most.
INSERT INTO accounts.person (patient_id, name)
SELECT patient_id, patient_name
FROM (
    SELECT patient_id, patient_name, row_number() OVER (PARTITION BY patient_id ORDER BY max(created_at) DESC, patient_name) AS place
    FROM booking.booking
    WHERE patient_name IS NOT NULL AND person_id IS NULL
    GROUP BY patient_id, patient_name
) AS named
WHERE place <= 5 AND NOT EXISTS (SELECT FROM accounts.person WHERE person.patient_id = named.patient_id AND name = patient_name)
    AND (SELECT count(*) FROM accounts.person WHERE person.patient_id = named.patient_id) + place <= 6;

-- What is booked keeps the name it is booked for. One book at a time, under its row's lock, so that no verb waits for long.
DO $$
DECLARE
    head record;
BEGIN
    FOR head IN SELECT provider_id FROM booking.book ORDER BY provider_id LOOP
        PERFORM FROM booking.book WHERE provider_id = head.provider_id FOR UPDATE;
        UPDATE booking.booking SET person_id = person.person_id, patient_name = coalesce(patient_name, nullif(person.name, ''))
        FROM accounts.person
        WHERE provider_id = head.provider_id AND booking.person_id IS NULL
            AND state IN ('booked', 'arrived', 'fulfilled', 'no_show', 'cancelled')
            AND person.patient_id = booking.patient_id
            AND CASE WHEN patient_name IS NULL THEN is_holder ELSE person.name = patient_name END
            AND NOT EXISTS (
                SELECT FROM accounts.person AS twin
                WHERE twin.patient_id = person.patient_id AND twin.name = person.name AND twin.person_id < person.person_id
                    AND booking.patient_name IS NOT NULL);
        COMMIT;
    END LOOP;
END $$;

-- Finds a patient's bookings that are not over. One that broke off half made is made again.
DROP INDEX CONCURRENTLY IF EXISTS booking.booking_patient_until;
CREATE INDEX CONCURRENTLY booking_patient_until ON booking.booking (patient_id, upper(during));
DROP INDEX CONCURRENTLY IF EXISTS booking.booking_patient_id;
