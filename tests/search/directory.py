"""A small directory to search in, and an index of it such as keywords are made for."""

from __future__ import annotations

from healthplus.database import Database
from healthplus.search.keyword import parse_keyword

CITIES = {
    "pune": "Pune",
    "mumbai": "Mumbai",
    "krishna": "Krishna",
    "aurangabad": "Aurangabad",
    "aurangabad-bihar": "Aurangabad",
}
SPECIALITIES = {
    "cardiology": "Cardiology",
    "general-dentistry": "General Dentistry",
    "dermatology": "Dermatology",
    "obstetrics-and-gynaecology": "Obstetrics and Gynaecology",
    "orthopaedics": "Orthopaedics",
    "paediatrics": "Paediatrics",
    "general-medicine": "General Medicine",
    "clear-eye-care": "Clear Eye Care",
}
# Name, type, speciality, clinic, address, postal code, city.
PROVIDERS = [
    ("Dr Asha Rao", "doctor", "general-dentistry", "Smile Clinic", "Paud Road, Kothrud", "411038", "pune"),
    ("Dr Rohan Patil", "doctor", "dermatology", "Smile Clinic", "Paud Road, Kothrud", "411038", "pune"),
    ("Dr Meera Joshi", "doctor", "dermatology", "Poona Chest Clinic", "Hill Road, Bandra", "400050", "mumbai"),
    ("Dr Hari Nair", "doctor", "cardiology", "Asha Clinic", "Linking Road, Bandra", "400050", "mumbai"),
    ("Heart Care Hospital", "hospital", "general-medicine", "Heart Care Hospital", "Andheri", "400053", "mumbai"),
    ("Poona Hospital", "hospital", "orthopaedics", "Poona Hospital", "Sadashiv Peth", "411030", "pune"),
    ("Ruby Hall Clinic", "clinic", "paediatrics", "Ruby Hall Clinic", "Sassoon Road", "411001", "pune"),
    ("Krishna Hospital", "hospital", "general-medicine", "Krishna Hospital", "Krishna Marg", "411004", "pune"),
    ("Krishna Nursing Home", "clinic", "general-medicine", "Krishna Nursing Home", "Krishna Lane", "411004", "pune"),
    ("Sai Lab", "lab", "general-medicine", "Sai Lab", "Station Road", "824101", "aurangabad"),
    ("Mata Clinic", "clinic", "obstetrics-and-gynaecology", "Mata Clinic", "Bazaar", "824102", "aurangabad-bihar"),
    ("Dr Anil Shah", "doctor", "general-medicine", "Shah Clinic", "Main Road", "520001", "krishna"),
]

_ADD = """
WITH clinic AS (
    INSERT INTO directory.clinic (identifier, city_id, name, address, postal_code)
    SELECT $4 || $7, city_id, $4, $5, $6 FROM directory.city WHERE slug = $7
    ON CONFLICT (identifier) DO UPDATE SET address = excluded.address
    RETURNING clinic_id
), provider AS (
    INSERT INTO directory.provider (identifier, type, name) VALUES ($1 || $7, $2::directory.provider_type, $1)
    RETURNING provider_id
), post AS (
    INSERT INTO directory.provider_clinic (provider_id, clinic_id, funding) SELECT provider_id, clinic_id, 'free'
    FROM provider, clinic
)
INSERT INTO directory.provider_speciality (provider_id, speciality_id)
SELECT provider_id, speciality_id FROM provider, directory.speciality WHERE slug = $3
RETURNING provider_id"""

_LISTINGS = """
SELECT provider.name AS provider, city_id, array_to_tsvector(
    search.words(concat_ws(' ', provider.name, clinic.name, address, city.name, speciality.name, offered.names))
    || ARRAY(SELECT 'n:' || word FROM unnest(search.words(concat_ws(' ', provider.name, clinic.name))) AS word)
    || ARRAY['city:' || city_id, 'speciality:' || speciality_id, 'type:' || type, 'pin:' || postal_code]
    || ARRAY(SELECT 'service:' || unnest(offered.ids))) AS terms
FROM directory.provider_clinic JOIN directory.provider USING (provider_id) JOIN directory.clinic USING (clinic_id)
JOIN directory.city USING (city_id) JOIN directory.provider_speciality USING (provider_id)
JOIN directory.speciality USING (speciality_id)
CROSS JOIN LATERAL (
    SELECT string_agg(service_type.name, ' ') AS names, array_agg(service_type_id) AS ids
    FROM directory.service JOIN directory.service_type USING (service_type_id)
    WHERE service.provider_id = provider.provider_id AND closed_at IS NULL) AS offered"""
# By slug: the name, and who offers it.
SERVICES = {
    "complete-blood-count": ("Complete Blood Count", ["Sai Lab", "Poona Hospital"]),
    "ultrasound-abdomen": ("Ultrasound Abdomen", ["Sai Lab"]),
    "ultrasound-pelvis": ("Ultrasound Pelvis", ["Poona Hospital"]),
    "root-canal-treatment": ("Root Canal Treatment", ["Dr Asha Rao"]),
    "scaling": ("Scaling", []),
    "mole-check": ("Mole Check", ["Dr Rohan Patil"]),
}


async def add_provider(db: Database, *facts: str) -> int:
    """Add a provider, given as in PROVIDERS, and a clinic, unless it is there."""
    return int(await db.fetch_value(_ADD, *facts))


async def make_directory(db: Database) -> dict[str, int]:
    """Fill the directory; return the cities' ids by slug."""
    for table, names in (("city", CITIES), ("speciality", SPECIALITIES)):
        await db.execute_many(f"INSERT INTO directory.{table} (slug, name) VALUES ($1, $2)", list(names.items()))
    for facts in PROVIDERS:
        await add_provider(db, *facts)
    for slug, (name, providers) in SERVICES.items():
        await db.execute(
            """WITH type AS (
                INSERT INTO directory.service_type (slug, name, is_test) VALUES ($1, $2, $3) RETURNING service_type_id)
            INSERT INTO directory.service (provider_id, service_type_id, length_minutes, fee_minor, funding)
            SELECT provider_id, service_type_id, 0, 100, 'clinic' FROM type, directory.provider
            WHERE name = ANY ($4)""",
            slug,
            name,
            slug.startswith(("complete", "ultrasound")),
            providers,
        )
    rows = await db.fetch("SELECT slug, city_id FROM directory.city")
    return {row["slug"]: row["city_id"] for row in rows}


async def find(db: Database, keyword: str, city_id: int | None = None) -> list[str]:
    """Return the providers that a keyword finds, those found by name first."""
    parsed = await parse_keyword(db, keyword, city_id)
    if not parsed.terms:
        return ["everybody"]
    rows = await db.fetch(
        f"""SELECT provider FROM ({_LISTINGS}) AS listing
        WHERE terms @@ $1::tsquery AND ($3::bigint IS NULL OR city_id = $3)
        ORDER BY terms @@ $2::tsquery DESC, provider""",
        parsed.terms,
        parsed.name_terms or parsed.terms,
        city_id,
    )
    return [row["provider"].removeprefix("Dr ") for row in rows]
