"""What the process that forks the app processes loads beforehand, so that each of them starts within a moment."""

from __future__ import annotations

import gc
import os
import signal

import granian.server.mp

import healthplus.web.app
from healthplus.fonts import hindi_font
from healthplus.web.pages.rendering import compile_templates
from healthplus.web.worker import prepared_routes

__all__ = ["granian", "healthplus"]

compile_templates()
hindi_font()
prepared_routes()
# No app process needs to look for garbage among this, nor then has a copy of its own.
gc.collect()
gc.freeze()

# A SIGTERM to all processes of the product is for the app processes, which finish their requests first. The one that
# forked them ends by itself after the last of them; until then it tells their supervisor how they ended.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
