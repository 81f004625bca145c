from __future__ import annotations

import subprocess
import sys

import pytest

_TRY = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from healthplus.serving import allow_open_files
allow_open_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("hard", "clients"), [(4096, "3584 clients"), (400, "0 clients"), (16_896, None)])
def test_the_limit_of_open_files_is_raised_and_a_low_one_is_logged(hard: int, clients: str | None) -> None:
    """With a process of its own, since a limit that is lowered cannot be raised again."""
    tried = subprocess.run(
        [sys.executable, "-c", _TRY.format(soft=256, hard=hard)], capture_output=True, text=True, check=True
    )
    assert tried.stdout.strip() == f"({hard}, {hard})"
    if clients is None:
        assert tried.stderr == ""
    else:
        assert f"only {hard} files may be open here" in tried.stderr
        assert clients in tried.stderr
        assert "LimitNOFILE" in tried.stderr
