-- name: office
-- A clinic with its providers and leave.
SELECT console.office($1, $2, $3)

-- name: holiday
-- The leaves that make up a holiday.
SELECT * FROM console.holiday($1, $2, $3, $4)

-- name: week
-- A provider's week.
SELECT console.week($1, $2, $3, $4, $5)

-- name: provider
-- A provider of a clinic.
SELECT console.provider($1, $2, $3, $4)

-- name: services
-- The services and terms of a clinic.
SELECT console.services($1, $2, $3)

-- name: change_shifts
-- Change shifts of a provider.
SELECT console.change_shifts($1, $2, $3, $4, $5, $6, $7, $8, $9) AS answer

-- name: add_leave
-- Add a leave of a provider.
SELECT console.add_leave($1, $2, $3, $4, $5, $6, $7, $8, $9) AS answer

-- name: remove_leave
-- Take a leave back.
SELECT console.remove_leave($1, $2, $3, $4, $5) AS answer

-- name: in_the_way_of_holiday
-- What is in the way of a holiday of a clinic.
SELECT console.in_the_way_of_holiday($1, $2, $3, $4, $5)

-- name: set_provider_closed
-- Close a provider at a clinic, or open it.
SELECT console.set_provider_closed($1, $2, $3, $4, $5, $6) AS answer

-- name: set_clinic_closed
-- Close a clinic, or open it.
SELECT console.set_clinic_closed($1, $2, $3, $4) AS answer

-- name: add_clinic
-- Add a clinic.
SELECT console.add_clinic($1, $2, $3) AS answer

-- name: put_clinic
-- Change what a clinic says of itself.
SELECT console.put_clinic($1, $2, $3, $4, $5) AS answer

-- name: put_provider
-- Add a provider to a clinic, or change one.
SELECT console.put_provider($1, $2, $3, $4, $5, $6) AS answer

-- name: set_photo
-- Give a provider a photo, or take it away.
SELECT console.set_photo($1, $2, $3, $4, $5, $6, $7) AS answer

-- name: add_clinic_picture
-- Add a picture of a clinic.
SELECT console.add_clinic_picture($1, $2, $3, $4, $5, $6, $7) AS answer

-- name: change_clinic_picture
-- Change what is said of a clinic's picture and its place, or remove it.
SELECT console.change_clinic_picture($1, $2, $3, $4, $5, $6) AS answer

-- name: put_service
-- Have a provider offer a service.
SELECT console.put_service($1, $2, $3, $4, $5, $6) AS answer

-- name: close_service
-- Close a service.
SELECT console.close_service($1, $2, $3, $4) AS answer

-- name: set_terms
-- Set the terms of new holds.
SELECT console.set_terms($1, $2, $3, $4, $5, $6, $7) AS answer
