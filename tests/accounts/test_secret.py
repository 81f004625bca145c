from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from healthplus.accounts.secret import Secret, with_secret_key
from healthplus.errors import BadInput
from healthplus.settings import Settings

KEY = "a key that is as long as it must be"


def test_a_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    settings = Settings(None, tmp_path / "new")
    made = with_secret_key(settings)
    assert len(made.secret_key or "") >= 32
    assert with_secret_key(settings) == made
    assert (tmp_path / "new" / "secret-key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secret-key"]
    assert Settings.from_environment(made.as_environment()) == made


def test_those_who_start_at_once_agree(tmp_path: Path) -> None:
    settings = Settings(None, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert len({made.secret_key for made in pool.map(lambda _: with_secret_key(settings), range(32))}) == 1


def test_the_operators_own_key_is_used(tmp_path: Path) -> None:
    settings = Settings(None, tmp_path, secret_key=KEY)
    assert with_secret_key(settings) is settings
    assert not list(tmp_path.iterdir())
    assert KEY not in repr(settings)


def test_where_none_can_be_kept_one_must_be_given(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="set HEALTHPLUS_SECRET_KEY"):
        with_secret_key(Settings(None, tmp_path / "file" / "folder"))


def test_a_short_key_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("hunter2")
    with pytest.raises(BadInput, match="secret-key is too short") as caught:
        with_secret_key(Settings(None, tmp_path))
    assert "hunter2" not in str(caught.value)


def test_macs_are_for_one_purpose_and_under_one_key() -> None:
    macs = [
        Secret(KEY).mac("phone", "12"),
        Secret(KEY).mac("prefix", "12"),
        Secret(KEY).mac("phone", "1", "2"),
        Secret(KEY + "!").mac("phone", "12"),
    ]
    assert len(set(macs)) == 4
    assert Secret(KEY).mac("phone", "12") == macs[0]


def test_what_is_sealed_here_for_a_purpose_is_opened_for_it_alone() -> None:
    secret, other = Secret("a" * 32), Secret("b" * 32)
    for content in (b"", b"x", b"\x00\xff", "नमस्ते".encode(), b"x" * 3000):
        sealed = secret.seal("a", content)
        assert re.fullmatch(r"[\w-]*\.[\w-]{43}", sealed)
        assert secret.unseal("a", sealed) == content
        assert secret.unseal("b", sealed) is None
        assert other.unseal("a", sealed) is None
        for changed in (sealed[:-1], f"x{sealed}", f"{sealed}=", f"{sealed}.", sealed.replace(".", ""), sealed[::-1]):
            assert secret.unseal("a", changed) is None
    for text in ("", ".", "a", "é.é", "\x00.\x00", "\ud800.x", "=.="):
        assert secret.unseal("a", text) is None
