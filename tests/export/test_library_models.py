"""The models that `s2s-train` builds: each exported, and the runtime's tokens equal to Keras's."""

from dataclasses import replace
from pathlib import Path

import keras
import pytest
from layouts import IDS
from random_weights import randomise

from s2s_export import ExportOptions, export
from s2s_training.config.model import ModelConfig
from s2s_training.data.arrays import Layout
from s2s_training.models.encoder_decoder import build_model

pytestmark = pytest.mark.tensorflow

SMALL = {"units": 6, "embedding": 5}
MODELS = {  # an export takes seconds: options that don't touch each other share a model
    "deeper decoder, bridged": {"decoder_layers": 3, "bridge": "dense"},
    "peek concat, multi-head": {"peek": "concat", "attention": "multi-head", "heads": 2, "bidirectional": True},
    "peek add, from zeros, residual, normalised": {
        **{"peek": "add", "cell": "gru", "bridge": "none", "encoder_layers": 3, "decoder_layers": 2},
        **{"residual": True, "layer_norm": True},
    },
    "tied through a projection": {"tied": True, "attention": "additive"},
    "input feeding, additive": {
        **{"input_feeding": True, "attention": "additive", "bidirectional": True, "decoder_layers": 2},
        **{"residual": True, "layer_norm": True, "dropout": 0.2},
    },
    "input feeding, general, tied": {"input_feeding": True, "attention": "general", "tied": True, "cell": "gru"},
    "scheduled sampling": {"scheduled_sampling": 0.5, "cell": "gru", "tied": True},
    "free running": {"free_running": True, "input_feeding": True, "attention": "dot"},
}
FEEDBACK = {"scheduled sampling": "token", "free running": "probabilities"}
ONE_HOT = {
    "peek, one-hot": {"peek": "add", "padding": "space"},
    "input feeding, one-hot, masked": {"input_feeding": True, "attention": "dot"},
}


def layout(config: ModelConfig, **options: object) -> Layout:
    """The arrays of a model that knows 9 source and 8 target symbols."""
    one_hot, masked = not config.embedding, config.padding == "mask"
    filled = {"source_padding": -1, "target_padding": -1} if one_hot else {}
    unmasked = {} if masked else {"source_length": 6, "per_step": True}
    return replace(IDS, one_hot=one_hot, start_id=1, **filled | unmasked | options)


def made(**options: object) -> keras.Model:
    """A model with weights that make it say different things."""
    config = ModelConfig(**options)
    model = build_model(config, layout(config))
    randomise(model)
    return model


def exported(model: keras.Model, path: Path, **options: object) -> object:
    """The export, after its verification: runtime against Keras, greedy and beam, batched and one by one."""
    keras.utils.clear_session()
    model.save(path / "model.keras")
    loaded = keras.models.load_model(path / "model.keras", compile=False)
    done = export(loaded, path / "m.s2s", ExportOptions(**{"start_id": 1, "end_ids": (2,), "max_length": 5} | options))
    assert done.report.passed
    assert all(check.compared > 0 and check.different == 0 for check in done.report.checks)
    return done


@pytest.mark.parametrize("name", MODELS)
def test_bundle_gives_the_tokens_of_keras(name: str, tmp_path: Path) -> None:
    """Saved, loaded, exported; every tensor and every sequence is Keras's."""
    done = exported(made(**SMALL | MODELS[name]), tmp_path)
    assert done.manifest.attention == ("attention" in MODELS[name])
    assert done.manifest.target.feedback == FEEDBACK.get(name, "token")


@pytest.mark.parametrize("name", ONE_HOT)
def test_one_hot_bundle_gives_the_tokens_of_keras(name: str, tmp_path: Path) -> None:
    """The same without embeddings."""
    length = {"source_length": 6} if "padding" in ONE_HOT[name] else {}
    done = exported(made(units=6, embedding=0, **ONE_HOT[name]), tmp_path, **length)
    assert done.manifest.source.kind == "one-hot"
