from __future__ import annotations

from pathlib import Path

import pytest

from healthplus.database import load

GOOD = """-- What the file is about.

-- name: one
-- The number one.
SELECT 1 -- indeed

-- name: two
-- A query of several lines.
SELECT
    2;
"""


def test_queries_by_attribute_and_by_name(tmp_path: Path) -> None:
    path = tmp_path / "queries.sql"
    path.write_text(GOOD)
    queries = load(path)
    assert list(queries) == ["one", "two"]
    assert queries.one == "SELECT 1 -- indeed"
    assert queries["two"] == "SELECT\n    2;"
    with pytest.raises(AttributeError, match="there are one, two"):
        _ = queries.three


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SELECT 0;\n" + GOOD, "before the first"),
        (GOOD + "-- name: one\n-- Again.\nSELECT 1", "two queries are named 'one'"),
        ("-- name: one\nSELECT 1", "what 'one' is for"),
        ("-- name: one\n--\nSELECT 1", "what 'one' is for"),
        ("-- name: one\n-- Purpose.\n", "'one' has no SQL"),
        ("-- name: one\n-- Purpose.\n-- only words\n", "'one' has no SQL"),
        ("-- name: items\n-- Purpose.\nSELECT 1", "cannot be a query's name"),
        ("-- name: One two\n-- Purpose.\nSELECT 1", "cannot be a query's name"),
    ],
)
def test_a_faulty_file_says_what_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "queries.sql"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as caught:
        load(path)
    assert str(path) in str(caught.value)
