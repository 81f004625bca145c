"""A directory to find in, and how tests look at its pages."""

from __future__ import annotations

import re
from html import unescape

import httpx

# Beside the environment's: sixty doctors at two clinics of Pune, each with other facts; a hospital and a lab with
# tests; one doctor in Mumbai, where nobody knows where the clinic is.
DIRECTORY = """
INSERT INTO directory.city (slug, name, latitude, longitude) VALUES ('mumbai', 'Mumbai', NULL, NULL);
UPDATE directory.city SET latitude = 18.52, longitude = 73.86 WHERE slug = 'pune';
INSERT INTO directory.speciality (slug, name) VALUES ('dentistry', 'Dentistry'), ('cardiology', 'Cardiology');
INSERT INTO directory.clinic (identifier, city_id, name, address, postal_code, phone, latitude, longitude)
SELECT place.name, city_id, place.name, address, postal_code, phone, place.latitude, place.longitude
FROM (VALUES ('Smile Clinic', 'pune', 'Paud Road, Kothrud, Pune', '411038', '+912025000001', 18.5074, 73.8077),
             ('Baner Care', 'pune', 'Baner Road, Baner', '411045', '+912025000002', 18.5590, 73.7868),
             ('Hill Clinic', 'mumbai', 'Hill Road, Bandra', '400050', NULL, NULL, NULL))
    AS place(name, slug, address, postal_code, phone, latitude, longitude)
JOIN directory.city USING (slug);
INSERT INTO directory.provider (
    identifier, type, name, phone, bio, gender, languages, practising_since, max_booking_days)
SELECT 'd' || n, (CASE n WHEN 61 THEN 'hospital' WHEN 62 THEN 'lab' ELSE 'doctor' END)::directory.provider_type,
    CASE n WHEN 61 THEN 'Baner Hospital' WHEN 62 THEN 'Baner Lab' ELSE 'Dr Asha Rao ' || n END, '+9120260000' || n, '',
    CASE WHEN n <= 60 THEN (ARRAY['female', 'male', NULL])[n % 3 + 1]::directory.gender END,
    CASE WHEN n % 2 = 0 THEN ARRAY['Marathi', 'English'] ELSE ARRAY['Hindi'] END, 1980 + n % 40, 30
FROM generate_series(1, 63) AS n;
INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding)
SELECT provider_id, clinic_id, 20000 + provider_id % 10 * 5000, 'clinic'
FROM directory.provider JOIN directory.clinic
    ON clinic.name = CASE WHEN provider.identifier = 'd63' THEN 'Hill Clinic'
        WHEN provider.identifier IN ('d61', 'd62') THEN 'Baner Care'
        WHEN provider_id % 2 = 0 THEN 'Smile Clinic' ELSE 'Baner Care' END
WHERE provider.identifier LIKE 'd%';
INSERT INTO directory.provider_speciality (provider_id, speciality_id)
SELECT provider_id, speciality_id FROM directory.provider JOIN directory.speciality
    ON slug = CASE WHEN provider_id % 4 = 0 THEN 'cardiology' ELSE 'dentistry' END
WHERE identifier LIKE 'd%';
INSERT INTO directory.service_type (slug, name, is_test)
VALUES ('hba1c', 'HbA1c', true), ('complete-blood-count', 'Complete Blood Count', true),
    ('root-canal', 'Root canal', false);
INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
SELECT provider_id, service_type_id, 0, 45000, 'clinic'::directory.funding
FROM directory.provider, directory.service_type WHERE type = 'lab' AND is_test
UNION ALL  -- of every third dentist, for an hour; some say their price only themselves
SELECT provider_id, service_type_id, 60, (provider_id * 7 % 5) * 100000, 'clinic'
FROM directory.provider JOIN directory.provider_speciality USING (provider_id)
JOIN directory.speciality USING (speciality_id), directory.service_type
WHERE speciality.slug = 'dentistry' AND type = 'doctor' AND provider_id % 3 = 0 AND service_type.slug = 'root-canal';
-- Every seventh works on Mondays only, every eleventh never.
INSERT INTO schedule.shift (provider_id, clinic_id, weekday, starts, ends, slot_minutes)
SELECT provider_id, clinic_id, weekday, '09:00', '12:00', 30
FROM directory.provider JOIN directory.provider_clinic USING (provider_id), generate_series(1, 7) AS weekday
WHERE identifier LIKE 'd%' AND provider_id % 11 <> 0 AND (weekday = 1 OR provider_id % 7 <> 0);
"""

# Who can be found in Pune, by a plain look at every row.
LOOK = """
SELECT count(DISTINCT provider_id)::integer FROM directory.provider
JOIN directory.provider_clinic USING (provider_id) JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id)
WHERE city.slug = 'pune' AND """

IS = """EXISTS (SELECT FROM directory.provider_speciality JOIN directory.speciality USING (speciality_id)
    WHERE provider_speciality.provider_id = provider.provider_id AND speciality.slug = '{}')"""


async def look(http: httpx.AsyncClient, path: str) -> str:
    page = await http.get(path)
    assert page.status_code == 200, (path, page.status_code, page.headers.get("location"))
    return unescape(page.text)


def words(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", "", page).split())


async def led(http: httpx.AsyncClient, path: str) -> tuple[int, str]:
    answer = await http.get(path)
    return answer.status_code, answer.headers.get("location", "")


def counted(text: str) -> int:
    found = re.search(r"<strong>(\d+) results?</strong>", text)
    return int(found[1]) if found else 0
