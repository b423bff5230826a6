"""Models in the manner of those that people published, with new random weights each time, against their authors' loops.

A case is the name of a model and a seed. The loop is written here as an author writes it: the whole training model, fed
what it gave before, greedily; it shares nothing with the exporter or the runtime.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

from harness import BrokenPromiseError, Case, Harness
from random_models import prepare

ROWS, START, END = 3, 1, 2
NEAR = 1e-4


def make(random: Random) -> Case:
    """Draw a model and a seed."""
    from published_models import PUBLISHED

    return {"model": random.choice(list(PUBLISHED)), "seed": random.randrange(10**6)}


def check(case: Case) -> str:
    """Build the model, save and load it, export it, decode, and compare with the author's loop."""
    import keras
    import numpy as np
    from published_models import PUBLISHED, STEPS
    from random_weights import randomise

    import s2s_runtime
    from s2s_export import ExportError, export, load_model
    from s2s_training.errors import SplitError

    published = PUBLISHED[case["model"]]
    keras.utils.clear_session()
    keras.utils.set_random_seed(case["seed"])
    model = published.build()
    randomise(model)
    is_token = "values" not in published.loop and published.loop != "known"
    options: dict[str, Any] = {"end_ids": (END,)} if is_token else {}
    options |= {"start_id": START} if published.loop in ("ids", "one-hot") else {}
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        loaded = load_model(Path(folder) / "model.keras")
        options |= {"max_length": STEPS, "verify_sources": 2, **published.options}
        try:
            export(loaded, Path(folder) / "model.s2s", **options)
        except (ExportError, SplitError) as error:
            said = " ".join(str(error).split())
            if not published.refused or published.refused not in said:
                raise BrokenPromiseError(f"refused by another reason than {published.refused!r}: {said}") from error
            return f"refused: {published.refused}"
        if published.refused:
            raise BrokenPromiseError(f"expected a refusal ({published.refused})")
        bundle = s2s_runtime.load(Path(folder) / "model.s2s")
        sources = _sources(model, published, bundle.manifest, np.random.default_rng(case["seed"]))
        names = bundle.manifest.source.known
        known = {"known": {name: sources[name][..., 1:] for name in names}} if names else {}
        given = {name: array for name, array in sources.items() if name not in names}
        rows = next(iter(given.values())) if len(given) == 1 else given
        expected = _of_the_loop(model, sources, published, bundle.manifest.target)
        if not is_token:
            values = bundle.predict(rows, **known)
            if values.shape != expected.shape or not np.allclose(values, expected, atol=1e-4):
                raise BrokenPromiseError("expected the values that the author's loop gives")
            return "right"
        for result, (tokens, gap) in zip(bundle.generate(rows), expected, strict=True):
            if list(result.ids) != tokens and gap > NEAR:
                raise BrokenPromiseError(f"expected {tokens} of the author's loop, got {list(result.ids)}")
    return "right"


def _sources(model: Any, published: Any, manifest: Any, rng: Any) -> dict[str, Any]:
    """Return random content of each source by the name of its input, and of the calendar, its first feature being 0."""
    import numpy as np
    from published_models import IDS, LENGTH, STEPS, WORDS

    specs = dict(zip(manifest.source.names, [manifest.source, *manifest.source.others], strict=True))
    made: dict[str, Any] = {}
    for tensor in model.inputs:
        if tensor.name in (published.fed, "before") and tensor.name not in manifest.source.known:
            continue
        steps = STEPS if tensor.name == published.fed else LENGTH
        shape = [ROWS, *(steps if size is None else size for size in tensor.shape[1:])]
        spec = specs.get(tensor.name, manifest.source)
        if "int" in str(tensor.dtype):
            made[tensor.name] = rng.integers(3, min(IDS, WORDS), size=shape)
        elif spec.kind == "one-hot":
            made[tensor.name] = np.eye(spec.size, dtype=np.float32)[rng.integers(3, spec.size, size=shape[:2])]
        else:
            made[tensor.name] = rng.normal(size=shape).astype(np.float32)
    return made


def _of_the_loop(model: Any, sources: dict[str, Any], published: Any, target: Any) -> Any:
    """Return what the author's loop gives: values, or tokens before the end with how near a choice was."""
    import numpy as np
    from published_models import STEPS

    def run(fed: Any) -> Any:
        given = {**sources, "before": np.ones((ROWS, STEPS), np.int32), **({} if fed is None else {published.fed: fed})}
        outputs = _without_noise(model, [given[tensor.name] for tensor in model.inputs])
        if len(outputs) > 1 and published.loop == "whole tokens":
            return np.stack(outputs, axis=1)
        names = [tensor._keras_history[0].name for tensor in model.outputs]
        return outputs[names.index(published.options.get("decoder_output", names[0]))]

    if published.loop == "whole values":
        return run(None)
    if published.loop == "whole tokens":
        return [_until_the_end(rows, ()) for rows in run(None)]
    if published.loop == "known":
        fed = sources[published.fed].copy()
        fed[..., :1] = 0
        for step in range(STEPS):
            made = run(fed)
            if step + 1 < STEPS:
                fed[:, step + 1, :1] = made[:, step]
        return made
    tokens, rows = np.full((ROWS, STEPS), START), np.zeros((ROWS, STEPS, target.size), np.float32)
    never = (START, target.padding_id)
    fixed = next(tensor for tensor in model.inputs if tensor.name == published.fed).shape[1] is not None
    for step in range(STEPS):
        fed = np.eye(target.size, dtype=np.float32)[tokens] if published.loop == "one-hot" else tokens
        rows[:, step] = run(fed if fixed else fed[:, : step + 1])[:, step]
        if step + 1 < STEPS:
            tokens[:, step + 1] = _never(rows[:, step], never).argmax(-1)
    return [_until_the_end(row, never) for row in rows]


def _never(probabilities: Any, tokens: tuple[int | None, ...]) -> Any:
    """Return probabilities in which some tokens are never the best."""
    kept = probabilities.copy()
    kept[..., [token for token in tokens if token is not None]] = -1
    return kept


def _without_noise(model: Any, arrays: list[Any]) -> list[Any]:
    """Call the model; a sampling layer, which is these models' own, gives its mean."""
    import numpy as np
    from keras import tree
    from published_models import Sampling

    call, Sampling.call = Sampling.call, lambda _, inputs: inputs[0]
    try:
        return [np.asarray(made) for made in tree.flatten(model(arrays if len(arrays) > 1 else arrays[0]))]
    finally:
        Sampling.call = call


def _until_the_end(rows: Any, never: tuple[int | None, ...]) -> tuple[list[int], float]:
    """Return the tokens before the first end, and the least gap between a choice and the next best."""
    import numpy as np

    tokens, gap = [], float("inf")
    for row in _never(rows, never):
        ordered = np.sort(row)
        gap = min(gap, float(ordered[-1] - ordered[-2]))
        if int(row.argmax()) == END:
            break
        tokens.append(int(row.argmax()))
    return tokens, gap


HARNESS = Harness(
    name="published models", make=make, check=check, prepare=prepare, share=1.0, seconds=120.0, memory=4 << 30
)
