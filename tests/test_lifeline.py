"""A process that is kept running is started again, less and less often where it ends at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

from healthplus.lifeline import running_beside


def test_one_that_ends_at_once_is_started_less_and_less_often(tmp_path: Path) -> None:
    (tmp_path / "ends_at_once.py").write_text(f"open({str(tmp_path / 'starts')!r}, 'a').write('.')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    starts = tmp_path / "starts"
    began = time.monotonic()
    with running_beside("ends_at_once", environment=environment):
        while not starts.exists() or len(starts.read_text()) < 4:
            time.sleep(0.02)
    # After 0.1, 0.2, 0.4 and 0.8 s, and the time that each takes.
    assert time.monotonic() - began >= 1.5
