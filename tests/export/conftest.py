"""Models as people save them, exported in processes of their own."""

import json
import os
import subprocess
import sys

import pytest
from places import ROOT

BUILDERS = ROOT / "tests" / "builders"


def start_python(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts a script of the builders' folder in a new process."""
    path = os.pathsep.join([str(BUILDERS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, str(BUILDERS / script), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(process: subprocess.Popen[str]) -> None:
    """Waits for a script; a failed one fails the test with its last words."""
    _, errors = process.communicate()
    if process.returncode != 0:
        pytest.fail(f"{process.args} ended with {process.returncode}: {errors[-3000:]}")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """What exporting each architecture gave; models are saved by one process, loaded and exported by others."""
    folder = tmp_path_factory.mktemp("architectures")
    finish(start_python("save_architectures.py", str(folder)))
    parts = [start_python("export_architectures.py", str(folder), str(part), "2") for part in range(2)]
    try:
        for process in parts:
            finish(process)
    finally:
        for process in parts:
            process.kill()  # a failure of one leaves nothing behind; those that ended are past this
            process.communicate()
    reports: dict[str, dict] = {}
    for file in folder.glob("reports-*.json"):
        reports |= json.loads(file.read_text(encoding="utf-8"))
    return reports
