"""Pictures of providers and clinics, as they are stored: by a hash of what they contain, in up to three sizes."""

from __future__ import annotations

from pathlib import Path

from healthplus.database import Database, load
from healthplus.errors import NotFound

queries = load(Path(__file__).with_name("photos.sql"))


async def photo(database: Database, content_hash: str, size: int) -> bytes:
    """Return a picture in WebP, of this size or, where it is smaller, as large as it is. Raises NotFound."""
    webp: bytes | None = await database.fetch_value(queries.photo, content_hash, size)
    if webp is None:
        raise NotFound
    return webp
