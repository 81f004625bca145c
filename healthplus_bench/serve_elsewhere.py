"""Runs the product as `python -m healthplus` does, with a bank that is elsewhere (bank.py). Only a bench runs this."""

from __future__ import annotations

import contextlib
from unittest.mock import patch

if __name__ == "__main__":  # app processes import this file, too
    from healthplus import __main__, serving

    serving._CONTEXT.set_forkserver_preload(["healthplus.preload", "healthplus_bench.preload_bank"])
    with patch.object(serving, "running_bank", contextlib.nullcontext):
        __main__.run()
