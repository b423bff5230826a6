"""Published models of one pass, causal ones, language models and recognisers of CTC, with new weights each time.

A case is the name of a model and a seed. What is expected is what its author does with the Keras model; nothing of it
is shared with the exporter or the runtime.
"""

from __future__ import annotations

import tempfile
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

from harness import BrokenPromiseError, Case, Harness
from random_models import prepare

ROWS, WRITTEN = 2, 14


def make(random: Random) -> Case:
    """Draw a model and a seed."""
    from published_neighbours import NEIGHBOURS

    return {"model": random.choice(list(NEIGHBOURS)), "seed": random.randrange(10**6)}


def check(case: Case) -> str:
    """Build the model, save and load it, export it, decode, and compare with what its author does."""
    import keras
    import numpy as np
    from published_neighbours import NEIGHBOURS
    from random_weights import randomise

    import s2s_runtime
    from s2s_export import export, load_model

    neighbour = NEIGHBOURS[case["model"]]
    keras.utils.clear_session()
    keras.utils.set_random_seed(case["seed"])
    model = neighbour.build()
    randomise(model)
    told = {"verify_sources": 2, **neighbour.options}
    target = [f"<{i}>" for i in range(model.outputs[neighbour.chosen].shape[-1])]
    told |= {} if neighbour.use in ("values", "followed") else {"target": target}
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        done = export(load_model(Path(folder) / "model.keras"), Path(folder) / "model.s2s", **told)
        bundle = s2s_runtime.load(Path(folder) / "model.s2s")
        given, wanted = _BY_USE[neighbour.use](model, bundle, neighbour, np.random.default_rng(case["seed"]))
    for one, other in zip(given, wanted, strict=True):
        same = np.allclose(one, other, atol=1e-4) if neighbour.use in ("values", "followed") else one == other
        if not same:
            raise BrokenPromiseError(f"expected {other}, as the author's use of it gives, got {one}")
    return f"right, {done.manifest.kind}"


def _rows(model: Any, rng: Any) -> list[Any]:
    """Return random content of each input, `ROWS` sources of one length."""
    import numpy as np
    from published_neighbours import LENGTH

    made = []
    for tensor in model.inputs:
        shape = [ROWS, *(size or 2 * LENGTH for size in tensor.shape[1:])]
        is_id = "int" in str(tensor.dtype)
        made.append(rng.integers(1, 9, shape) if is_id else rng.normal(size=shape).astype(np.float32))
    return made


def _run(model: Any, arrays: list[Any], chosen: int = 0) -> Any:
    """Return what an output of the model gives, a source at a time."""
    import numpy as np
    from keras import tree

    made = []
    for row in range(ROWS):
        for layer in model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_states()
        one = [array[row : row + 1] for array in arrays]
        outputs = tree.flatten(model(one if len(one) > 1 else one[0], training=False))
        made.append(np.asarray(outputs[chosen])[0])
    return made


def _tags(model: Any, bundle: Any, neighbour: Any, rng: Any) -> tuple[Any, Any]:
    arrays = _rows(model, rng)
    outputs = [output if output.ndim == 2 else output[None] for output in _run(model, arrays, neighbour.chosen)]
    read = dict(zip(bundle.manifest.source.names, arrays, strict=True)) if len(arrays) > 1 else arrays[0]
    return [result.ids for result in bundle.generate(read)], [output.argmax(-1).tolist() for output in outputs]


def _values(model: Any, bundle: Any, _: Any, rng: Any) -> tuple[Any, Any]:
    arrays = _rows(model, rng)
    return bundle.predict(arrays[0]), _run(model, arrays)


def _followed(model: Any, bundle: Any, _: Any, rng: Any) -> tuple[Any, Any]:
    import numpy as np

    arrays = _rows(model, rng)
    made = []
    for row in arrays[0]:
        following = bundle.start()
        made.append(np.stack([following.advance(reading) for reading in row]))
    return made, _run(model, arrays)


def _next_symbol(model: Any, bundle: Any, _: Any, rng: Any) -> tuple[Any, Any]:
    import numpy as np
    from published_neighbours import LENGTH

    prompts = rng.integers(1, 9, (ROWS, LENGTH)).tolist()
    wanted = []
    for prompt in prompts:
        text = list(prompt)
        while len(text) < WRITTEN:
            fed = text[-LENGTH:] if len(model.output_shape) == 2 else text
            output = np.asarray(model(np.array([fed]), training=False))[0]
            text.append(int((output if output.ndim == 1 else output[-1]).argmax()))
        wanted.append(text)
    return [list(result.ids) for result in bundle.generate(prompts, max_length=WRITTEN)], wanted


def _ctc(model: Any, bundle: Any, _: Any, rng: Any) -> tuple[Any, Any]:
    arrays = _rows(model, rng)
    blank = bundle.manifest.target.blank_id
    paths = [[s for s, _ in groupby(rows.argmax(-1).tolist()) if s != blank] for rows in _run(model, arrays)]
    return [list(result.ids) for result in bundle.generate(list(arrays[0]))], paths


_BY_USE = {"tags": _tags, "values": _values, "followed": _followed, "next symbol": _next_symbol, "ctc": _ctc}

HARNESS = Harness(
    name="published neighbours", make=make, check=check, prepare=prepare, share=1.0, seconds=120.0, memory=4 << 30
)
