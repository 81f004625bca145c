-- name: closed_places_take_nobody
-- A provider can be booked at no clinic that is closed, and nowhere once closed itself; and where they cannot be booked, nothing is held.
SELECT provider_id, clinic_id, provider_clinic.closed_since, clinic.closed_since AS clinic_closed, provider.closed_since AS provider_closed
FROM directory.provider_clinic JOIN directory.clinic USING (clinic_id) JOIN directory.provider USING (provider_id)
WHERE provider_clinic.closed_since IS NULL AND coalesce(clinic.closed_since, provider.closed_since) IS NOT NULL
    OR provider_clinic.closed_since IS NOT NULL AND EXISTS (
        SELECT FROM booking.booking
        WHERE booking.provider_id = provider_clinic.provider_id AND booking.clinic_id = provider_clinic.clinic_id
            AND state = 'reserved' AND NOT booking.is_due(booking, (SELECT public.app_now())))

-- name: cities_reach_their_listings
-- Each listing is found by its own city: it has the city of its clinic, no two cities of a state share a name, and a former address of one is
-- no other's.
SELECT listing.provider_id, listing.clinic_id, clinic.city_id, NULL AS slug
FROM search.listing JOIN directory.clinic USING (clinic_id)
WHERE listing.city_id <> clinic.city_id
UNION ALL
SELECT NULL, NULL, city.city_id, city.slug
FROM directory.city JOIN directory.city AS other ON lower(other.name) = lower(city.name) AND lower(other.state) = lower(city.state)
WHERE other.city_id < city.city_id AND city.state <> ''
UNION ALL
SELECT NULL, NULL, city_alias.city_id, slug
FROM directory.city_alias JOIN directory.city USING (slug)
