"""Search over what one pass gave, whose outputs are a table here."""

from dataclasses import replace

import numpy as np
import pytest
from fake_models import number_manifest

from s2s_runtime.bundle.manifest_file import Manifest
from s2s_runtime.errors import BundleError
from s2s_runtime.model import Model
from s2s_runtime.one_pass.pass_model import OnePassModel

SIZE = 5


def one_pass(logits: np.ndarray, **target: object) -> Model:
    """A model that gives every source, whatever it holds, the row of a table that its first id names."""
    manifest = one_pass_manifest(**target)
    return Model(manifest, OnePassModel(lambda source: logits[source[:, 0]]))


def one_pass_manifest(**target: object) -> Manifest:
    made = number_manifest(SIZE, max_length=None, start_id=0, **target)
    graphs = {"model": made.graphs["encoder"]}
    fed = replace(made.target, feedback="none", start_id=None)
    return replace(made, kind="one-pass", graphs=graphs, states=(), memory=(), target=fed)


def test_the_best_of_each_position_up_to_an_end() -> None:
    """Whatever the best symbols are after the first that ends, they don't count, nor do their scores."""
    logits = np.random.default_rng(0).normal(size=(10, 6, SIZE)).astype(np.float32)
    results = one_pass(logits, end_ids=(1,)).generate([[i] for i in range(1, 10)], return_token_scores=True)
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for result, row in zip(results, log_probabilities[1:], strict=True):
        best = row.argmax(-1).tolist()
        length = best.index(1) + 1 if 1 in best else 6
        assert result.ids == [token for token in best[:length] if token != 1]
        assert result.score == pytest.approx(row.max(-1)[:length].mean(), abs=1e-5)
        np.testing.assert_allclose(result.hypotheses[0].token_scores, row.max(-1)[: len(result.ids)], atol=1e-5)


def test_rules_that_look_back_are_followed() -> None:
    """A rule on what was written before goes position by position, and a ban holds at once."""
    logits = np.tile(np.array([0, 1, 4, 3, 2], np.float32), (2, 4, 1))
    model = one_pass(logits, end_ids=())
    assert model.generate([[1]])[0].ids == [2, 2, 2, 2]
    assert model.generate([[1]], suppress_tokens=[2])[0].ids == [3, 3, 3, 3]
    assert model.generate([[1]], no_repeat_ngram_size=1)[0].ids == [2, 3, 4, 1]
    assert model.generate([[1]], prefix=[[4, 1]])[0].ids == [4, 1, 2, 2]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"graphs": {}}, "graphs.model: missing"),
        ({"kind": "ctc", "graphs": {}}, "graphs.model: missing"),
        ({"kind": "encoder-decoder"}, "graphs.encoder: missing"),
        ({"kind": "decoder-only"}, "graphs.decoder: missing"),
    ],
)
def test_kinds_have_their_graphs(changed: dict, words: str) -> None:
    """Each kind of bundle has graphs of its own, and no others."""
    with pytest.raises(BundleError, match=words):
        replace(one_pass_manifest(end_ids=()), **changed)


def test_kinds_have_names() -> None:
    """A kind that nobody knows is refused with those that there are."""
    written = one_pass_manifest(end_ids=()).to_dict()
    assert Manifest.from_dict(written).kind == "one-pass"
    with pytest.raises(BundleError, match="kind: expected one of 'encoder-decoder', 'one-pass', 'decoder-only'"):
        Manifest.from_dict({**written, "kind": "one pass"})
