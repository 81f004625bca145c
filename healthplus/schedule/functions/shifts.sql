-- What tells whether a shift is still what it was when somebody looked at it; NULL for none.
CREATE FUNCTION schedule.shift_digest(p_shift schedule.shift) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT md5((to_jsonb(p_shift) - 'released_until')::text) WHERE p_shift.shift_id IS NOT NULL
$$;

-- A shift as pages have it; its times in minutes after midnight, as 24:00 is none of a clock's. `valid_until` is its last day.
CREATE FUNCTION schedule.shift_document(p_shift schedule.shift) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'shift_id', p_shift.shift_id, 'weekday', p_shift.weekday, 'starts', extract(epoch FROM p_shift.starts)::integer / 60,
        'ends', extract(epoch FROM p_shift.ends)::integer / 60, 'slot_minutes', p_shift.slot_minutes, 'seats', p_shift.seats,
        'slots_max', p_shift.slots_max, 'release_hours', p_shift.release_hours, 'valid_from', lower(p_shift.valid), 'valid_until', upper(p_shift.valid) - 1,
        'digest', schedule.shift_digest(p_shift))
$$;
