"""Junk for every public function of the exporter and the trainer: an error of ours, or it is what the function takes.

As `junk` does for the runtime; with models, layers and vocabularies in the wrong places.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import junk
from harness import Harness
from junk import JunkCalls

_SECTIONS = ("DataConfig", "ModelConfig", "FitConfig")
_SEQ2SEQ = {"output_dim": "2", "output_length": "3", "input_shape": "(4, 2)"}

JUNK = (
    *junk.JUNK,
    *(
        "model",
        "untrained()",
        "keras.Sequential()",
        "keras.Input((None,))",
        "keras.layers.LSTM(2)",
        "keras.layers.LSTM",
    ),
    *(
        "keras.layers.StringLookup(vocabulary=['a'])",
        "{'a': 0, 'b': 0}",
        "{'a': -1}",
        "{'a': 10**9}",
        "{0: 'a', 2: 'b'}",
    ),
    *(
        "['<pad>', 'a']",
        "['a', 'a']",
        "tiny.source_vocabulary",
        "ExportOptions",
        "ExportOptions()",
        "config",
        "DataConfig",
    ),
    *("'model.keras'", "'sources.txt'", "'char'", "'last'", "'right'", "'previous'", "'zeros'", "tf.constant(1)"),
    *(
        "np.ones((2, 3), np.int32)",
        "keras.Variable(1.0)",
        "{'source': 'char'}",
        "'os:getcwd'",
        "'junk:nothing'",
        "'a:b:c'",
    ),
)
BASES: dict[str, dict[str, str]] = {
    "export": {"model": "model", "path": "'out.s2s'", "options": "options"},
    "export_pair": {"encoder": "pair.encoder", "decoder": "pair.decoder", "path": "'out.s2s'", "options": "options"},
    "export_steps": {"encode": "encode", "step": "step", "path": "'out.s2s'", "options": "options", "source_size": "8"},
    "load_model": {"path": "saved"},
    "build_model": {"function": "'junk_for_keras:small'", "weights": "saved"},
    "ExportOptions": {},
    "split": {"model": "model"},
    "TrainingConfig": {"data": "DataConfig(data='sources.txt')"},
    "DataConfig": {"data": "'sources.txt'"},
    "ModelConfig": {},
    "FitConfig": {},
    "config.override": {},
    "train": {"config": "config", "path": "'run'"},
    "SimpleSeq2Seq": _SEQ2SEQ,
    "Seq2Seq": _SEQ2SEQ,
    "AttentionSeq2Seq": _SEQ2SEQ,
}


def small() -> Any:
    """A model of few weights, as `build_model` calls it."""
    from model_files import small_model

    return small_model()


@cache
def names() -> dict[str, Any]:
    """What expressions may use; a model is exported on two sources, so that it takes no longer than it must."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from s2s_training.quiet_import import import_quietly

    import_quietly()
    import keras
    import tensorflow as tf
    from model_files import save_small
    from model_pairs import lstm_of_the_tutorial

    import s2s_export
    from s2s_training import seq2seq
    from s2s_training.config import data, fit, model, training
    from s2s_training.splitting.splitter import split
    from s2s_training.train import train

    made = small()
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    public = {name: getattr(s2s_export, name) for name in s2s_export.__all__}
    sections = {name: getattr(module, name) for name, module in zip(_SECTIONS, (data, model, fit), strict=True)}
    layers = {layer.name: layer for layer in made.layers}
    embed = [layer for layer in made.layers if isinstance(layer, keras.layers.Embedding)]

    def encode(source: Any) -> Any:
        return layers["encoder"](embed[0](source))[1:], ()

    def step(token: Any, states: Any, memory: Any) -> Any:
        return layers["head"](layers["decoder"](embed[1](token), initial_state=states)), states

    return {
        **junk.names(),
        **public,
        **sections,
        **{name: getattr(seq2seq, name) for name in seq2seq.__all__},
        **{"keras": keras, "tf": tf, "model": made, "untrained": small, "saved": save_small(folder / "model.keras")},
        **{"pair": lstm_of_the_tutorial(), "encode": encode, "step": step, "split": split, "train": train},
        "TrainingConfig": training.TrainingConfig,
        "config": training.TrainingConfig(
            data=data.DataConfig(data="sources.txt", rows=2),
            model=model.ModelConfig(units=2),
            fit=fit.FitConfig(epochs=1),
        ),
        "options": s2s_export.ExportOptions(start_id=1, end_ids=(2,), max_length=4, source_length=4, padding="0"),
    }


def options() -> list[str]:
    """Names of every option of the exporter and of the trainer: what one doesn't know, it has to say."""
    owners = [names()[name] for name in ("ExportOptions", *_SECTIONS)]
    return [option.name for owner in owners for option in dataclasses.fields(owner)] + [
        "source",
        "target",
        "start",
        "end",
    ]


CALLS = JunkCalls(
    BASES,
    names,
    options,
    JUNK,
    called=frozenset({"stages", "progress", "encode", "step", "lambdas"}),
    errors={name: (TypeError, ValueError) for name in ("SimpleSeq2Seq", "Seq2Seq", "AttentionSeq2Seq")},
)
HARNESS = Harness(name="junk for Keras", make=CALLS.make, check=CALLS.check, prepare=names, seconds=60)
