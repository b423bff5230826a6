"""One pass that gives several outputs, from a table: each is decoded by its own symbols, and is what it is alone."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from fake_models import number_manifest

from s2s_runtime import Decoder, Vocabulary
from s2s_runtime.bundle.further_outputs import FurtherOutput
from s2s_runtime.bundle.manifest_file import Manifest, TargetSpec
from s2s_runtime.decoding.line_format import LineFormat
from s2s_runtime.decoding.records import RecordLines
from s2s_runtime.decoding.text_files import DecodeLines
from s2s_runtime.ensembles import ensemble
from s2s_runtime.errors import BundleError, InputError, OptionError
from s2s_runtime.model import Model
from s2s_runtime.one_pass.pass_model import OnePassModel

TAGS, INTENTS, SOURCES = 5, 3, 8
RNG = np.random.default_rng(0)
TABLES = (
    RNG.normal(size=(SOURCES, 4, TAGS)).astype(np.float32),
    RNG.normal(size=(SOURCES, 1, INTENTS)).astype(np.float32),
    RNG.normal(size=(SOURCES, 4, 2)).astype(np.float32),
)
ROWS = [[1], [2, 2, 2], [3, 3], [7, 7, 7, 7]]


def manifest() -> Manifest:
    """Tags for each word, an intent and two numbers a word beside them."""
    made = number_manifest(SOURCES, max_length=None, start_id=0)
    tags = replace(made.target, feedback="none", start_id=None, size=TAGS, aligned=True, name="tags", end_ids=())
    intent = TargetSpec("none", INTENTS, max_length=1, name="intent")
    outputs = (
        FurtherOutput(intent, Vocabulary("symbol", ("ask", "tell", "greet"))),
        FurtherOutput(TargetSpec("value", 2, aligned=True, name="level")),
    )
    padding = replace(made.padding, masked=True, id=0)
    graphs = {"model": made.graphs["encoder"]}
    return replace(
        made, kind="one-pass", graphs=graphs, states=(), memory=(), target=tags, outputs=outputs, padding=padding
    )


def tagger() -> Model:
    """A model that gives every source the rows of the tables that its first id names, as many as there is padding."""
    return Model(manifest(), OnePassModel(lambda source: [table[source[:, 0], : source.shape[1]] for table in TABLES]))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_each_output_has_its_own_symbols_and_positions() -> None:
    """Tags and values are as many as words, the intent is one; scores are those of the table."""
    for row, result in zip(ROWS, tagger().generate(ROWS, return_scores=True), strict=True):
        assert result.ids == TABLES[0][row[0], : len(row)].argmax(-1).tolist()
        intent, scores = result.outputs["intent"], log_softmax(TABLES[1][row[0], 0])
        assert intent.ids == [scores.argmax()]
        assert intent.text == ("ask", "tell", "greet")[scores.argmax()]
        assert intent.score == pytest.approx(scores.max(), abs=1e-5)
        np.testing.assert_array_equal(result.outputs["level"], TABLES[2][row[0], : len(row)])


def test_n_best_of_each_output_is_that_of_all_sequences() -> None:
    """As many hypotheses of each output as were asked for, as far as there are so many, best first."""
    [result] = tagger().generate([[2, 2]], num_hypotheses=4, length_penalty=0, return_scores=True)
    for found, table in ((result, TABLES[0][2, :2]), (result.outputs["intent"], TABLES[1][2])):
        scores = log_softmax(table)
        every = product(range(table.shape[1]), repeat=len(table))
        ranked = sorted(((sum(scores[i, t] for i, t in enumerate(ids)), list(ids)) for ids in every), reverse=True)[:4]
        assert [each.ids for each in found.hypotheses] == [ids for _, ids in ranked]
        assert [each.score for each in found.hypotheses] == pytest.approx([score for score, _ in ranked], abs=1e-5)


def test_rules_mean_the_first_output_or_the_one_taken() -> None:
    """A forbidden id is one of the first output's; `output` gives a model of which another is the only one."""
    best = int(TABLES[0][1, 0].argmax())
    [result] = tagger().generate([[1]], suppress_tokens=[best])
    assert result.ids != [best]
    assert result.outputs["intent"].ids == [int(TABLES[1][1, 0].argmax())]
    intents = tagger().output("intent")
    [alone] = intents.generate([[1]], suppress_tokens=result.outputs["intent"].tokens)
    assert alone.ids != result.outputs["intent"].ids
    assert not alone.outputs
    assert intents.score([[1]], ["tell"], add_end=False)[0].score == pytest.approx(
        log_softmax(TABLES[1][1, 0])[1], abs=1e-5
    )
    np.testing.assert_array_equal(tagger().output("level").predict([[3, 3]]), TABLES[2][[3], :2])
    assert tagger().output("tags").generate([[1]])[0].ids == [best]
    with pytest.raises(OptionError, match="output: expected one of 'tags', 'intent', 'level'; got 'intents'"):
        tagger().output("intents")
    with pytest.raises(OptionError, match="the values of 'level' are in the outputs of its results"):
        tagger().predict([[1]])


def test_options_of_confidence_mean_every_output() -> None:
    """Each is how sure the model is of that output, at its own positions."""
    [result] = tagger().generate([[4, 4]], return_confidence=True, return_token_scores=True, return_top_tokens=2)
    for found, table in ((result, TABLES[0][4, :2]), (result.outputs["intent"], TABLES[1][4])):
        shares = np.exp(log_softmax(table)).max(-1)
        assert found.confidence == pytest.approx(shares.prod(), abs=1e-5)
        assert found.hypotheses[0].token_scores == pytest.approx(np.log(shares), abs=1e-5)
        assert len(found.hypotheses[0].top_tokens[0]) == 2


def test_one_pass_gives_every_output() -> None:
    """Nothing is computed again for outputs of which nobody asked how sure the model is."""
    passes = []

    def run(source: np.ndarray) -> list[np.ndarray]:
        passes.append(len(source))
        return [table[source[:, 0], : source.shape[1]] for table in TABLES]

    Model(manifest(), OnePassModel(run)).generate(ROWS, return_scores=True)
    assert passes == [len(ROWS)]


def test_a_source_that_nothing_may_follow_has_every_output() -> None:
    """Where no first token is likely enough, the others are as empty as the first."""
    asked: dict[str, Any] = {"return_alternatives": True, "num_hypotheses": 2, "min_alternative_probability": 1.0}
    [result] = tagger().generate([[1]], **asked)
    assert (result.ids, result.hypotheses[0].finish_reason) == ([], "stopped")
    assert result.outputs["intent"].hypotheses == result.hypotheses
    assert result.outputs["level"].shape == (0, 2)


def test_nothing_in_and_what_fails() -> None:
    """An empty source, and one that can't be read, have every output too."""
    model = tagger()
    results = model.generate([[], [99], [1, 1]], on_error="return")
    for result, words in zip(results, (0, 0, 2), strict=True):
        assert list(result.outputs) == ["intent", "level"]
        assert len(result.outputs["level"]) == len(result.ids) == words
    assert results[1].outputs["intent"].error is not None
    assert results[0].outputs["intent"].text == ""


def test_parts_are_joined() -> None:
    """Of a source that was cut, the outputs of its parts stand one behind the other."""
    [result] = tagger().generate([[5, 5, 6, 6]], max_source_length=2, on_long="split")
    assert result.outputs["intent"].ids == [int(TABLES[1][i, 0].argmax()) for i in (5, 6)]
    np.testing.assert_array_equal(result.outputs["level"], np.concatenate([TABLES[2][i, :2] for i in (5, 6)]))


def test_as_plain_values() -> None:
    """JSON holds every output."""
    [result] = tagger().generate([[1]])
    made = json.loads(json.dumps(result.to_dict()))["outputs"]
    assert made["intent"]["hypotheses"][0]["ids"] == result.outputs["intent"].ids
    assert np.allclose(made["level"]["values"], TABLES[2][1, :1])
    assert "outputs=intent, level" in repr(result)


def test_the_manifest_keeps_outputs() -> None:
    """Written and read again it is the same; what contradicts itself is named."""
    made = manifest()
    assert Manifest.from_dict(json.loads(json.dumps(made.to_dict()))) == made
    for change, words in (
        ({"outputs": ()}, "target.name: expected none, as there is one output"),
        ({"target": replace(made.target, name="intent")}, "outputs: expected different names"),
        (
            {"outputs": (FurtherOutput(replace(made.outputs[0].target, size=4), made.outputs[0].vocabulary),)},
            "4 symbols",
        ),
        (
            {"outputs": (FurtherOutput(replace(made.outputs[0].target, feedback="token", start_id=1)),)},
            "feedback: expected",
        ),
    ):
        with pytest.raises(BundleError, match=words):
            replace(made, **change)


def test_ensembles_take_one_output() -> None:
    """The message says how."""
    with pytest.raises(OptionError, match=r"models\[0\]: gives several outputs \('tags', 'intent', 'level'\)"):
        ensemble([tagger(), tagger()])
    intents = ensemble([tagger().output("intent"), tagger().output("intent")])
    assert intents.generate([[1]])[0].ids == [int(TABLES[1][1, 0].argmax())]


def test_values_alone_are_a_dictionary() -> None:
    """`predict` gives each output by its name where all are values."""
    made, names = manifest(), ("first", "second")
    first, second = (
        TargetSpec("value", 2, aligned=aligned, name=name, max_length=most)
        for name, aligned, most in zip(names, (True, False), (None, 1), strict=True)
    )
    made = replace(made, target=first, outputs=(FurtherOutput(second),))
    tables = (TABLES[2], TABLES[2][:, 1:2])
    model = Model(made, OnePassModel(lambda source: [table[source[:, 0]] for table in tables]))
    predicted = model.predict(ROWS)
    assert list(predicted) == ["first", "second"]
    assert predicted["second"].shape == (4, 1, 2)
    np.testing.assert_array_equal(predicted["first"][1, :3], TABLES[2][2, :3])
    np.testing.assert_array_equal(predicted["second"], TABLES[2][[1, 2, 3, 7], 1:2])
    assert model.predict([])["first"].shape == (0, 0, 2)


def test_lines_and_records_hold_every_output() -> None:
    """Behind the first, with tabs between; named where fields have names; other formats have no place for them."""
    decoding = tagger().prepare()
    [result] = decoding.decode([[1]], None)
    intent, level = result.outputs["intent"].text, " ".join(f"{value:.9g}" for value in TABLES[2][1, 0])
    work = DecodeLines(decoding, LineFormat(outputs=True))
    assert work(["1"], 0) == f"{result.text}\t{intent}\t{level}\n"
    assert DecodeLines(decoding, LineFormat())(["1"], 0) == f"{result.text}\n"
    rows = RecordLines(work, "tsv", "words")
    assert rows(["words", "1"], 0) == f"words\toutput\tintent\tlevel\n1\t{result.text}\t{intent}\t{level}\n"
    made = json.loads(RecordLines(work, "jsonl", "text")(['{"text": "1"}'], 0))
    assert (made["output"], made["intent"]) == (result.text, intent)
    assert made["level"] == TABLES[2][1, :1].tolist()
    with pytest.raises(InputError, match="has a field 'intent' already"):
        RecordLines(work, "tsv", "words")(["words\tintent", "1\t2"], 0)


def test_a_server_gives_every_output() -> None:
    """Tensors of the Open Inference Protocol are named by their outputs, and shorter rows are filled."""
    inference, options, readers = (
        pytest.importorskip(f"s2s_runtime.serving.{name}") for name in ("inference", "options", "request_options")
    )
    results = tagger().generate([[3, 3], [1]], num_hypotheses=2, return_scores=True)
    names = [str(spec["name"]) for spec in inference.output_specs(manifest())]
    assert names[3:] == ["intent.text", "intent.score", "intent.tokens", "level.values"]
    arrays = inference.token_arrays(results, names)
    assert arrays["intent.text"][1].tolist() == [
        [hypothesis.text for hypothesis in result.outputs["intent"].hypotheses] for result in results
    ]
    np.testing.assert_array_equal(arrays["level.values"][1][0], TABLES[2][3, :2])
    np.testing.assert_array_equal(arrays["level.values"][1][1], [TABLES[2][1, 0], [0, 0]])
    reader = readers.OptionReader(manifest(), {}, options.ServingOptions())
    assert reader.read({"num_hypotheses": 3}).options.beam_size == 3  # no beam has to be asked for


def test_other_ways_to_decode_give_every_output() -> None:
    """One by one, in the place of a batch of others, and with likely first tokens."""
    model, wanted = tagger(), [result.outputs["intent"].ids for result in tagger().generate(ROWS)]
    assert [result.outputs["intent"].ids for result in model.generate_iter(ROWS)] == wanted
    with Decoder(model) as decoder:
        assert [decoder.submit(row).result().outputs["intent"].ids for row in ROWS] == wanted
    [result] = model.generate(ROWS[:1], return_alternatives=True, num_hypotheses=2)
    assert result.outputs["intent"].ids == wanted[0]
    assert "".join(model.stream([2, 2, 2, 2], max_source_length=2, on_long="split")) == " ".join(
        str(token) for _ in range(2) for token in TABLES[0][2, :2].argmax(-1)
    )
