"""A virtual environment for every framework, made when first needed and again when its requirements change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = Path(__file__).resolve().parent / "peers"

# Which environment each peer runs in; also the order of the tables.
PEERS = {
    "keras_predict": "tensorflow",
    "torch_eager": "torch",
    "xla": "tensorflow",
    "jax_scan": "jax",
    "tf2onnx_loop": "tensorflow",
    "ours": "ours",
}


def python_of(environment: str) -> Path:
    """The interpreter of `.venv-bench-ENVIRONMENT` in the project's root, with everything installed.

    Args:
        environment: NAME of `peers/requirements-NAME.txt`.

    Raises:
        subprocess.CalledProcessError: pip could not install it; what it printed says why.
    """
    folder = ROOT / f".venv-bench-{environment}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    requirements = (REQUIREMENTS / f"requirements-{environment}.txt").read_text(encoding="utf-8")
    stamp = folder / "installed.txt"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == requirements:
        return python
    print(f"installing {folder.name}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--requirement", str(REQUIREMENTS / f"requirements-{environment}.txt")]
    subprocess.run(command, check=True, cwd=ROOT)
    stamp.write_text(requirements, encoding="utf-8")
    return python
