"""A virtual environment for every framework, made when first needed and again when its requirements change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "benchmarks" / "peers"

# Which environment each peer runs in.
PEERS = {
    "keras_predict": "tensorflow",
    "torch_eager": "torch",
    "torch_compile": "torch",
    "torch_attention": "torch",
    "joeynmt": "joeynmt",
    "xla": "tensorflow",
    "jax_scan": "jax",
    "tf2onnx_loop": "tensorflow",
    "ours": "ours",
    "ours:int8": "ours",
    "ours:cuda": "ours-cuda",
    "ours:cuda-steps": "ours-cuda",
    "ours:cuda-float16": "ours-cuda",
    "ours:host": "ours",
    "ours:host-steps": "ours",
    "ours:host-float16": "ours",
    "torch_eager:cuda": "torch",
    "torch_eager:host": "torch",
    "torch_attention:cuda": "torch",
    "torch_attention:host": "torch",
    "tagger_keras:predict": "tensorflow",
    "tagger_keras:function": "tensorflow",
    "tagger_keras:xla": "tensorflow",
    "tagger_xla": "tensorflow",
    "tagger_jax": "jax",
    "tagger_jax:apart": "jax",
    "tagger_onnx:plain": "ours",
    "tagger_onnx:graph": "ours",
    "products:numpy": "ours",
    "products:torch": "torch",
    "products:onnxruntime": "ours",
}


def python_of(environment: str) -> Path:
    """Return the interpreter of `.venv-bench-ENVIRONMENT` in the project's root, with everything installed.

    Args:
        environment: NAME of `peers/requirements-NAME.txt`. What stands in `peers/requirements-NAME-alone.txt`, where
            there is one, is installed without its own requirements: JoeyNMT's exclude today's versions, with which it
            runs all the same.

    Raises:
        subprocess.CalledProcessError: pip could not install it; what it printed says why.
    """
    folder = ROOT / f".venv-bench-{environment}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    files = [REQUIREMENTS / f"requirements-{environment}{kind}.txt" for kind in ("", "-alone")]
    files = [file for file in files if file.is_file()]
    requirements = "".join(file.read_text(encoding="utf-8") for file in files)
    stamp = folder / "installed.txt"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == requirements:
        return python
    print(f"installing {folder.name}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    for file in files:
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps"] if file.stem.endswith("-alone") else []
        subprocess.run([*command, "--requirement", str(file)], check=True, cwd=ROOT)
    stamp.write_text(requirements, encoding="utf-8")
    return python
