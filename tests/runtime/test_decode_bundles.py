"""Decoding the committed bundles: every kind of input and feedback, batches, padding, devices."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import s2s_runtime
from s2s_runtime import InputError, Model, OptionError, UnknownSymbolError, read_manifest
from s2s_runtime.bundle.storage import FolderFiles
from s2s_runtime.opening.step_models import open_step_model
from s2s_runtime.ort.sessions import SessionSettings

texts = st.lists(st.text(alphabet="abcde", min_size=0, max_size=9), max_size=12)


def one_at_a_time(folder: Path, source: np.ndarray, steps: int) -> list[int]:
    """Greedy decoding as in a tutorial: one sentence, one run per token, plain numpy feeds."""
    manifest = read_manifest(folder)
    encoder, decoder = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("encoder", "decoder"))
    feeds = dict(
        zip([each.name for each in encoder.get_outputs()], encoder.run(None, {"source": source[None]}), strict=True)
    )
    wanted = {each.name for each in decoder.get_inputs()}
    names = [each.name for each in decoder.get_outputs()]
    banned = {manifest.target.start_id, manifest.target.unknown_id} - {None}
    token, tokens = manifest.target.start_id, []
    for _ in range(steps):
        given_feeds = {**feeds, "token": np.array([token])}
        outputs = dict(
            zip(names, decoder.run(None, {n: v for n, v in given_feeds.items() if n in wanted}), strict=True)
        )
        logits = outputs["logits"][0]
        logits[list(banned)] = -np.inf
        token = int(logits.argmax())
        if token in manifest.target.end_ids:
            break
        tokens.append(token)
        feeds |= {name.removeprefix("next_"): value for name, value in outputs.items() if name.startswith("next_")}
    return tokens


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("tiny", [[2, 3, 4, 1], [6, 1], [5, 5, 2, 3, 6, 6, 1]]),
        ("tiny-onehot", [[0, 1, 2, 3, 4, 0], [4, -1, -1, -1, -1, -1], [2, 2, 0, -1, -1, -1]]),
        ("tiny-none", [[0, 0, 3, 1, 4], [11, 10, 1, 9, 8]]),
        ("tiny-probabilities", [[0, 1, 2, 3, 4, 0], [3, 3, -1, -1, -1, -1]]),
    ],
)
def test_every_feedback_gives_what_one_at_a_time_gives(fixtures: Path, name: str, rows: list[list[int]]) -> None:
    """Batched greedy decoding = the graphs run by hand, one sentence and one token at a time, for every feedback."""
    model = s2s_runtime.load(fixtures / f"{name}.s2s")
    steps = model.manifest.target.max_length
    assert steps is not None
    expected = [one_at_a_time(fixtures / f"{name}.s2s", np.array(row), steps) for row in rows]
    assert [result.ids for result in model.generate(rows)] == expected


def test_values_are_fed_back(fixtures: Path) -> None:
    """Predict = the graphs run by hand with each output as the next value, from zeros or from a given start."""
    folder = fixtures / "tiny-values.s2s"
    model = s2s_runtime.load(folder)
    inputs = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    encoder, decoder = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("encoder", "decoder"))
    for start in (None, np.array([0.5]), np.array([[0.1], [0.2], [0.3]])):
        [state], value, expected = encoder.run(None, {"source": inputs}), np.zeros((3, 1), np.float32), []
        value[:] = 0 if start is None else start
        for _ in range(7):
            value, state = decoder.run(["output", "next_state.0"], {"value": value, "state.0": state})
            expected.append(value)
        predicted = model.predict(inputs, steps=7, start=start)
        np.testing.assert_allclose(predicted, np.stack(expected, axis=1), atol=1e-6)
    assert model.predict(inputs).shape == (3, 5, 1)
    assert model.predict([]).shape == (0, 5, 1)


def test_unmasked_sources_of_free_length_share_batches_only_by_length(fixtures: Path) -> None:
    """Without a mask and a fixed length, ragged inputs give what each gives alone."""
    model = s2s_runtime.load(fixtures / "tiny-values.s2s")
    random = np.random.default_rng(1)
    inputs = [random.normal(size=(length, 2)) for length in (3, 5, 3, 1, 5)]
    alone = np.concatenate([model.predict([each]) for each in inputs])
    np.testing.assert_allclose(model.predict(inputs), alone, atol=1e-6)
    np.testing.assert_allclose(model.predict(inputs, max_batch_size=1), alone, atol=1e-6)


@settings(max_examples=40)
@given(sources=texts, size=st.integers(1, 40), by=st.sampled_from(["sentences", "tokens"]), beam=st.integers(1, 4))
def test_results_do_not_depend_on_the_batch(tiny: Model, sources: list[str], size: int, by: str, beam: int) -> None:
    """In one call, one by one, in other batches or reversed: the same tokens, in the caller's order."""
    options = {"beam_size": beam, "num_hypotheses": beam}
    expected = [[h.ids for h in tiny.generate([source], **options)[0].hypotheses] for source in sources]
    together = tiny.generate(sources, **options, max_batch_size=size, batch_by=by)
    assert [[h.ids for h in result.hypotheses] for result in together] == expected
    backwards = tiny.generate(sources[::-1], **options)[::-1]
    assert [[h.ids for h in result.hypotheses] for result in backwards] == expected


def test_scores_and_attention_do_not_depend_on_the_batch(tiny: Model) -> None:
    """Nor do the numbers, within float32 rounding; attention has a row per token and a column per source token."""
    sources = ["abcde", "e", "cab"]
    options = {"return_token_scores": True, "return_attention": True, "return_end_token": True}
    for beam_size in (1, 3):
        together = tiny.generate(sources, beam_size=beam_size, **options)
        for source, result in zip(sources, together, strict=True):
            [alone] = tiny.generate([source], beam_size=beam_size, **options)
            best, lone = result.hypotheses[0], alone.hypotheses[0]
            assert best.score == pytest.approx(lone.score, abs=1e-5)
            assert best.token_scores == pytest.approx(lone.token_scores, abs=1e-5)
            assert sum(best.token_scores) / len(best.ids) == pytest.approx(best.score, abs=1e-5)
            assert (
                best.attention.shape
                == (len(best.tokens), len(result.source_tokens))
                == (len(best.ids), len(source) + 1)
            )
            np.testing.assert_allclose(best.attention, lone.attention, atol=1e-5)
            np.testing.assert_allclose(best.attention.sum(axis=1), 1, atol=1e-5)


def test_masked_padding_never_changes_a_result(tiny: Model) -> None:
    """More padding at the end of an integer array, ragged lists, and texts: the same results."""
    array = np.array([[2, 3, 4, 1, 0, 0, 0, 0], [6, 1, 0, 0, 0, 0, 0, 0]])
    expected = [result.ids for result in tiny.generate(["abc", "e"])]
    assert [result.ids for result in tiny.generate(array)] == expected
    assert [result.ids for result in tiny.generate(array[:, :4])] == expected
    assert [result.ids for result in tiny.generate([[2, 3, 4, 1], np.array([6, 1])])] == expected
    assert [result.ids for result in tiny.generate(("abc", "e"))] == expected


@pytest.mark.parametrize("row", [[0, 2, 1], [2, 0, 1]])
def test_padding_that_cannot_be_masked_is_refused(tiny: Model, row: list[int]) -> None:
    """Left padding and gaps: lengths can't tell them."""
    with pytest.raises(InputError, match=r"inputs\[1\]: padding id 0 at position \d, before a token; this bundle's"):
        tiny.generate(np.array([[2, 3, 1], row]))


def test_one_hot_models_take_ids_and_arrays(tiny_onehot: Model) -> None:
    """Texts, ids with -1 for zero rows, padded or not, and the one-hot array itself give the same."""
    ids = np.array([[0, 1, 2, -1, -1, -1], [3, -1, -1, -1, -1, -1]])
    one_hot = (ids[..., None] == np.arange(5)).astype(np.float32)
    expected = [result.ids for result in tiny_onehot.generate(["abc", "d"])]
    assert [result.ids for result in tiny_onehot.generate(ids)] == expected
    assert [result.ids for result in tiny_onehot.generate([[0, 1, 2], [3]])] == expected
    assert [result.ids for result in tiny_onehot.generate(one_hot)] == expected
    assert [result.ids for result in tiny_onehot.generate(list(one_hot[:, :4]))] == expected


def test_empty_inputs_are_defined(tiny: Model, tiny_onehot: Model) -> None:
    """No sources, no results; an empty source gives an empty hypothesis with score 0, without running the model."""
    assert tiny.generate([]) == []
    for beam_size in (1, 3):
        first, second = tiny.generate(["", "a"], beam_size=beam_size, return_token_scores=True, return_attention=True)
        assert (first.text, first.tokens, first.ids, first.score) == ("", [], [], 0.0)
        assert first.hypotheses[0].finish_reason == "end"
        assert (first.hypotheses[0].token_scores, first.source_tokens) == ([], [])
        assert second.ids != []
    assert tiny.generate([[], [0, 0]])[1].ids == []
    assert tiny_onehot.generate([""])[0].text == ""
    assert list(tiny.stream("")) == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("abc", "inputs: expected a list of texts, got one text 'abc'; put it in a list"),
        (
            np.zeros((2, 3)),
            "inputs[0]: expected texts, or ids: lists, or an integer array (sentences, time), got float64",
        ),
        (
            np.zeros((2, 3, 4)),
            "inputs: expected texts, or ids: lists, or an integer array (sentences, time), got float64 ",
        ),
        ([[2, 7]], "inputs[0]: expected ids from 0 to 6, got 7"),
        ([[2], [-1]], "inputs[1]: expected ids from 0 to 6, got -1"),
        ([[[2], [3, 4]]], "inputs[0]: expected texts, or ids"),
        (["ab", None], "inputs[1]: expected texts, or ids"),
    ],
)
def test_bad_inputs_are_refused(tiny: Model, inputs: object, message: str) -> None:
    """One line that says where, what was expected and what came."""
    with pytest.raises(InputError) as caught:
        tiny.generate(inputs)  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_sources_longer_than_the_fixed_padding_are_refused(tiny_onehot: Model) -> None:
    """Never truncated."""
    with pytest.raises(InputError, match=r"inputs\[1\]: 7 tokens, but this bundle's model reads sources padded to 6"):
        tiny_onehot.generate(["abc", "abcdabc"])


def test_bad_one_hot_arrays_are_refused(tiny_onehot: Model) -> None:
    """Rows that are no one-hot rows, or of another width."""
    for array in (np.full((1, 2, 5), 0.5), np.ones((1, 2, 5)), np.eye(4)[None]):
        with pytest.raises(InputError, match=r"inputs\[0\]: expected one-hot rows of width 5 \(or rows of zeros\)"):
            tiny_onehot.generate(array)


def test_unknown_characters_are_named(tiny: Model) -> None:
    """Without an unknown symbol the text is refused."""
    with pytest.raises(UnknownSymbolError, match=r"unknown character 'X' at position 1 of 'aXb'"):
        tiny.generate(["abc", "aXb"])


def test_texts_need_a_vocabulary(fixtures: Path) -> None:
    """A bundle that knows numbers only says so, and spells ids as its tokens."""
    model = s2s_runtime.load(fixtures / "tiny-probabilities.s2s")
    with pytest.raises(InputError, match=r"as this bundle has no source vocabulary; got 'abc'"):
        model.generate(["abc"])
    [result] = model.generate([[0, 1]])
    assert result.tokens == [str(i) for i in result.ids]
    assert result.text == " ".join(result.tokens)
    assert result.source_tokens == ["0", "1"]


def test_values_and_tokens_are_not_confused(fixtures: Path, tiny: Model) -> None:
    """Generate refuses models of values, predict models of tokens; both say what to use."""
    values = s2s_runtime.load(fixtures / "tiny-values.s2s")
    with pytest.raises(OptionError, match=r"generate: this bundle's model gives values, not tokens; use predict"):
        values.generate(np.zeros((1, 3, 2)))
    with pytest.raises(OptionError, match=r"predict: this bundle's model generates tokens, not values; use generate"):
        tiny.predict(["abc"])
    with pytest.raises(InputError, match=r"inputs: expected float arrays \(sentences, time, 2\), got float64 of shape"):
        values.predict(np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"inputs\[0\]: expected float arrays \(sentences, time, 2\)"):
        values.predict(np.zeros((1, 3, 4)))
    with pytest.raises(InputError, match=r"inputs\[0\]: empty"):
        values.predict([np.zeros((0, 2))])
    with pytest.raises(OptionError, match=r"steps: expected at least 1, got 0"):
        values.predict(np.zeros((1, 3, 2)), steps=0)


@pytest.mark.parametrize("name", ["tiny", "tiny-onehot", "tiny-none"])
def test_the_device_path_gives_the_same(fixtures: Path, name: str) -> None:
    """States kept and gathered by the select graphs, as on a GPU, give exactly what numpy in host memory gives."""
    folder = fixtures / f"{name}.s2s"
    manifest = read_manifest(folder)
    device = Model(manifest, open_step_model(FolderFiles(folder), manifest, SessionSettings(), on_device=True))
    host = s2s_runtime.load(folder)
    sources = [[1, 2, 3], [4], [3, 3, 1, 2], [2, 1]] * 3
    for options in (
        {"return_scores": True},
        {"beam_size": 3, "num_hypotheses": 3, "return_token_scores": True, "return_attention": manifest.attention},
        {"sampling_temperature": 1.0, "num_hypotheses": 3, "seed": 1},
    ):
        found = [result.to_dict() for result in device.generate(sources, **options)]
        assert found == [result.to_dict() for result in host.generate(sources, **options)]


def test_values_on_the_device_path(fixtures: Path) -> None:
    """The same for values."""
    folder = fixtures / "tiny-values.s2s"
    manifest = read_manifest(folder)
    device = Model(manifest, open_step_model(FolderFiles(folder), manifest, SessionSettings(), on_device=True))
    inputs = np.random.default_rng(0).normal(size=(3, 4, 2))
    np.testing.assert_array_equal(device.predict(inputs), s2s_runtime.load(folder).predict(inputs))


def test_a_model_may_be_shared_between_threads(tiny: Model) -> None:
    """Eight threads that decode with one model get what one gets."""
    sources = [["abc", "de"], ["edcba"], ["a", "bb", "ccc"], ["abcdeabc"]] * 8
    expected = [[r.ids for r in tiny.generate(each, beam_size=3)] for each in sources]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: [r.ids for r in tiny.generate(each, beam_size=3)], sources))
    assert found == expected


def test_results_are_plain_values_for_json(tiny: Model) -> None:
    """to_dict holds what was asked for and nothing else, ready for json."""
    [plain] = tiny.generate(["abc"])
    assert json.loads(json.dumps(plain.to_dict())) == {
        "source_tokens": ["a", "b", "c", "</s>"],
        "hypotheses": [{"text": plain.text, "tokens": plain.tokens, "ids": plain.ids, "finish_reason": "end"}],
    }
    [full] = tiny.generate(["abc"], return_token_scores=True, return_attention=True)
    assert set(full.to_dict()["hypotheses"][0]) == {  # type: ignore[index]
        *("text", "tokens", "ids", "score", "finish_reason", "token_scores", "attention")
    }
    json.dumps(full.to_dict())


def test_stream_gives_the_text_of_generate_in_pieces(tiny: Model, tiny_onehot: Model) -> None:
    """The pieces put together are generate's text, one piece per token here."""
    for model, source in ((tiny, "abcd"), (tiny_onehot, "abcd.a")):
        pieces = list(model.stream(source))
        assert pieces == model.generate([source])[0].tokens
        assert "".join(pieces) == model.generate([source])[0].text
    with pytest.raises(OptionError, match=r"beam_size: expected 1 for stream, got 3"):
        tiny.stream("abc", beam_size=3)


def test_score_refuses_what_it_cannot_score(tiny: Model) -> None:
    """Lists that don't pair up, ids out of range, empty sources; a text target is wrapped with the end token."""
    assert tiny.score(["abc"], ["AB"])[0].to_dict() == tiny.score(["abc"], [[3, 4, 1]])[0].to_dict()
    assert len(tiny.score(["abc"], ["AB"], add_end=False)[0].token_scores) == 2
    with pytest.raises(InputError, match=r"targets: expected one per source \(2\), got 1"):
        tiny.score(["a", "b"], ["A"])
    for wrong in ([3.7, 4.2], [True, False], ["A", "B"], 5, np.array(5), None):
        with pytest.raises(InputError, match=r"targets\[0\]: expected a text or a list of ids, got "):
            tiny.score(["abc"], [wrong])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"targets\[0\]: expected a text or a list of ids, got "):
        tiny.score(["abc"], np.array([[3.9, 4.9]]))  # type: ignore[arg-type]
    assert tiny.score(["abc"], np.array([[3, 4]])) == tiny.score(["abc"], ["AB"])  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="beam_size, max_length: no effect on scoring; expected some of length_penal"):
        tiny.score(["abc"], ["AB"], beam_size=3, max_length=3)  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"targets\[0\]: expected ids from 0 to 7, got 8"):
        tiny.score(["a"], [[8]])
    with pytest.raises(InputError, match=r"sources\[1\]: empty"):
        tiny.score(["a", ""], ["A", "A"])
    assert tiny.score([], []) == []


@pytest.mark.parametrize("name", ["tiny", "tiny-onehot", "tiny-none"])
def test_an_array_of_ids_is_the_list_of_its_rows(fixtures: Path, name: str) -> None:
    """Whatever its integer type; what is wrong with a row is said of that row."""
    model = s2s_runtime.load(fixtures / f"{name}.s2s")
    for dtype in (np.int64, np.int8):
        array = np.array([[2, 3, 4, 1], [3, 2, 2, 1], [4, 4, 4, 1]], dtype)
        found, expected = model.generate(array), model.generate(array.tolist())
        assert [result.to_dict() for result in found] == [result.to_dict() for result in expected]
    array[1, 2] = 100
    with pytest.raises(InputError, match=r"inputs\[1\]: expected ids from .* got 100"):
        model.generate(array)
    assert model.generate(np.zeros((0, 4), np.int64)) == []
    if model.manifest.padding.length:
        with pytest.raises(InputError, match=r"inputs\[0\]: 9 tokens, but this bundle's model reads sources padded to"):
            model.generate(np.ones((2, 9), np.int64))
