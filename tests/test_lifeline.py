"""A process that is kept running is started again, less and less often where it ends at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

from healthplus.lifeline import running_beside


def test_one_that_ends_at_once_is_started_less_and_less_often(tmp_path: Path) -> None:
    (tmp_path / "ends_at_once.py").write_text(f"open({str(tmp_path / 'starts')!r}, 'a').write('.')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with running_beside("ends_at_once", environment=environment):
        time.sleep(3)
    # After 0.1, 0.2, 0.4, 0.8 and 1.6 s, and the time that each takes.
    assert 2 <= len((tmp_path / "starts").read_text()) <= 5
