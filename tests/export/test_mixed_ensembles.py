"""Models of different architectures over one vocabulary, decoded together."""

from pathlib import Path

import keras
import numpy as np
import pytest
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportOptions, export
from s2s_runtime.vocabulary.padding import PaddingPolicy
from s2s_runtime.vocabulary.vocabulary_file import Vocabulary, VocabularyFile
from s2s_training.config.model import ModelConfig
from s2s_training.data.arrays import Layout, pad

pytestmark = pytest.mark.tensorflow

LONGEST = 6
SYMBOLS = VocabularyFile(
    Vocabulary("char", ("<pad>", "<unk>", *"abcdef"), padding="<pad>", unknown="<unk>"),
    Vocabulary(
        "char", ("<pad>", "<unk>", "<s>", "</s>", *"xyzw"), padding="<pad>", unknown="<unk>", start="<s>", end="</s>"
    ),
    PaddingPolicy(masked=True, id=0),
    LONGEST,
)
KINDS = (
    {"cell": "gru", "encoder_layers": 2, "bidirectional": True, "decoder_units": 7},
    {"cell": "lstm", "attention": "multi-head", "heads": 2, "input_feeding": True, "embedding": 5},
)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[keras.Model, s2s_runtime.Model]]:
    """Each model with what its bundle became."""
    from s2s_training.models.encoder_decoder import build_model

    made = []
    for number, kind in enumerate(KINDS):
        described = ModelConfig(**{"units": 6, "embedding": 4} | kind)
        model = build_model(described, Layout.of(SYMBOLS, described))
        randomise(model)
        path: Path = tmp_path_factory.mktemp("mixed") / f"{number}.s2s"
        export(model, path, ExportOptions(vocabulary=SYMBOLS, verify_sources=2))
        made.append((model, s2s_runtime.load(path)))
    return made


@pytest.mark.parametrize("mean", ["probabilities", "log_probabilities"])
def test_each_token_is_the_likeliest_by_the_mean_of_keras_models(
    members: list[tuple[keras.Model, s2s_runtime.Model]], mean: str
) -> None:
    """The training models, re-fed with what is written, and averaged by the definition."""
    sources = ["abc", "fa", "edcbaf", "bb"]
    rows = [SYMBOLS.source.encode_sentence(source) for source in sources]
    together = s2s_runtime.ensemble([bundle for _, bundle in members], mean=mean)
    found = together.generate(sources, return_scores=True, length_penalty=0)
    source, written, totals = pad(rows, 0), np.full((len(rows), 1), 2), np.zeros(len(rows))
    live = np.ones(len(rows), bool)
    while live.any() and written.shape[1] <= LONGEST:
        steps = np.stack([np.asarray(model([source, written]), np.float64)[:, -1] for model, _ in members])
        averaged = steps.mean(axis=0) if mean == "probabilities" else np.exp(np.log(steps).mean(axis=0))
        averaged /= averaged.sum(axis=1, keepdims=True)
        averaged[:, :3] = 0  # never written
        totals += np.where(live, np.log(averaged.max(axis=1)), 0)
        written = np.column_stack([written, np.where(live, averaged.argmax(axis=1), 3)])
        live &= written[:, -1] != 3
    for result, ids, total in zip(found, written.tolist(), totals, strict=True):
        assert result.ids == [token for token in ids[1:] if token != 3]
        assert result.score == pytest.approx(total, abs=1e-4)
