"""Onnxruntime doesn't report to anyone from a process that decodes or exports.

From 1.31 on, its import starts a thread, writes files under the home folder and looks up a host, unless the environment
says no before it.
"""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"


def disable_telemetry() -> None:
    """Say no, before onnxruntime is imported, unless the user has set the variable to whatever they chose."""
    os.environ.setdefault(VARIABLE, "1")
