"""What the process that forks a bench's app processes loads: the bank inside them, in the sandbox gateway's place."""

from __future__ import annotations

from unittest.mock import patch

import healthplus.web.app
from healthplus_bench.bank import BankElsewhere

# Raises AttributeError where the app gets its gateway under another name by now.
patch.object(healthplus.web.app, "SandboxGateway", BankElsewhere).start()
