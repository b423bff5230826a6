"""Decodes with a bundle in a process that has only the runtime: `python decode_without_tensorflow.py FOLDER`.

FOLDER holds `model.s2s` and `expected.json`; what was decoded goes into `decoded.json`. Ends with an error where
anything of TensorFlow, Keras or onnx has been imported.
"""

import json
import sys
from pathlib import Path

import numpy as np

import s2s_runtime


def main(folder: Path) -> None:
    """Decode the inputs, all in one call."""
    given = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    model = s2s_runtime.load(folder / "model.s2s")
    if "texts" in given:
        decoded = [result.text for result in model.generate(given["texts"])]
    elif "vectors" in given:
        decoded = [result.ids for result in model.generate(np.array(given["vectors"], np.float32))]
    else:
        decoded = np.asarray(model.predict(np.array(given["values"], np.float32))).tolist()
    if "scored" in given:
        scored = model.score([""] * len(given["scored"]), given["scored"])
        (folder / "scored.json").write_text(json.dumps([found.log_probability for found in scored]), encoding="utf-8")
    foreign = {"tensorflow", "keras", "onnx", "tf2onnx"} & set(sys.modules)
    if foreign:
        raise SystemExit(f"the runtime imported {', '.join(sorted(foreign))}")
    (folder / "decoded.json").write_text(json.dumps(decoded), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
