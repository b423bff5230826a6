"""What a person meets in Python: names, keyword arguments, equality, pickles, reprs, and what a notebook shows."""

from __future__ import annotations

import importlib
import inspect
import pickle
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import s2s_runtime
from s2s_runtime import DecodingOptions, Hypothesis, InputError, Model, OptionError, Result, Results, S2SError
from s2s_runtime.errors import UnknownOptionError, UnknownSymbolError

VERBS: dict[str, Callable[[Model], object]] = {
    "generate": lambda model: model.generate(["abc"], beamsize=2),  # type: ignore[call-arg]
    "generate_iter": lambda model: model.generate_iter(["abc"], beamsize=2),  # type: ignore[call-arg]
    "generate_file": lambda model: model.generate_file("a", "b", beamsize=2),  # type: ignore[call-arg]
    "stream": lambda model: model.stream("abc", beamsize=2),  # type: ignore[call-arg]
    "prepare": lambda model: model.prepare(beamsize=2),  # type: ignore[call-arg]
    "generate_from": lambda model: model.generate_from(model.encode(["abc"]), beamsize=2),  # type: ignore[call-arg]
    "DecodingOptions": lambda model: DecodingOptions(beamsize=2),  # type: ignore[call-arg]
    "Decoder": lambda model: s2s_runtime.Decoder(model, beamsize=2),  # type: ignore[call-arg]
}


def test_only_public_names_are_listed() -> None:
    """What completion offers behind `s2s_runtime.` is what the reference documents."""
    assert dir(s2s_runtime) == sorted([*s2s_runtime.__all__, "__version__"])
    for name in s2s_runtime.__all__:
        assert inspect.getdoc(getattr(s2s_runtime, name))


@pytest.mark.parametrize("verb", VERBS)
def test_unknown_keywords_get_the_nearest(tiny: Model, verb: str) -> None:
    """In every verb that takes options, before anything runs; a TypeError as of any function."""
    with pytest.raises(TypeError) as caught:
        VERBS[verb](tiny)
    assert str(caught.value) == f"beamsize: no such option of {verb}; did you mean 'beam_size'?"
    assert isinstance(caught.value, UnknownOptionError)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: s2s_runtime.load("x", provider=["cpu"]),
            "provider: no such option of load; did you mean 'providers'?",
        ),
        (lambda m: s2s_runtime.ensemble([m], means=1), "means: no such option of ensemble; did you mean 'mean'?"),
        (lambda m: m.score(["a"], ["b"], add_ends=1), "add_ends: no such option of score; did you mean 'add_end'?"),
        (lambda m: m.encode(["a"], starts=1), "starts: no such option of encode; did you mean 'start'?"),
        (lambda m: m.predict([], step=1), "step: no such option of predict; did you mean 'steps'?"),
        (lambda m: m.predict_from(None, step=1), "step: no such option of predict_from; did you mean 'steps'?"),
        (
            lambda m: m.generate(["a"], sampling_topk=1),
            "sampling_topk: no such option of generate; what CTranslate2 calls sampling_topk is sampling_top_k here",
        ),
        (
            lambda m: m.generate(["a"], lenpen=1),
            "lenpen: no such option of generate; what fairseq calls lenpen is length_penalty here",
        ),
        (lambda m: m.generate(["a"], zzz=1), "zzz: no such option of generate; help(DecodingOptions) lists them"),
    ],
)
def test_unknown_names_are_one_line(tiny: Model, call: Callable[[Any], object], message: str) -> None:
    """The nearest name, ours for that of another library, or where they are listed."""
    with pytest.raises(UnknownOptionError, match=f"^{re.escape(message)}$"):
        call(tiny)


def test_options_may_be_given_whole(tiny: Model, tmp_path: Path) -> None:
    """`options=` in every verb; what is given by name comes before what stands there."""
    options = DecodingOptions(beam_size=3, num_hypotheses=3, length_penalty=0.5)
    texts = ["abc", "de"]
    expected = tiny.generate(texts, beam_size=3, num_hypotheses=2, length_penalty=0.5)
    assert tiny.generate(texts, options=options, num_hypotheses=2) == expected
    assert list(tiny.generate_iter(texts, options=options, num_hypotheses=2)) == expected
    assert tiny.prepare(options, num_hypotheses=2).decode(texts, None) == expected
    assert tiny.generate_from(tiny.encode(["abc"]), options=options, num_hypotheses=2)[0].ids == expected[0].ids
    (tmp_path / "in").write_text("abc\nde\n")
    tiny.generate_file(tmp_path / "in", tmp_path / "out", options=options, num_hypotheses=1)
    assert (tmp_path / "out").read_text().split() == [each.text for each in expected]
    assert tiny.score(["abc"], ["AB"], options=options) == tiny.score(["abc"], ["AB"], length_penalty=0.5)
    assert (
        "".join(tiny.stream("abc", options=DecodingOptions(max_length=1)))
        == tiny.generate(["abc"], max_length=1)[0].text
    )
    with s2s_runtime.Decoder(tiny, options=options, num_hypotheses=2) as decoder:
        assert decoder.submit("abc").result().ids == expected[0].ids
    with pytest.raises(OptionError, match=r"options: expected DecodingOptions, got \{'beam_size': 3\}; give others by"):
        tiny.generate(texts, options={"beam_size": 3})  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="num_hypotheses: expected at most"):
        tiny.generate(texts, options=options, beam_size=1)


def test_options_are_equal_by_value() -> None:
    """Lists, tuples and arrays of the same items too; equal ones have one hash."""
    options = DecodingOptions(beam_size=3, suppress_tokens=[3, 4], length_penalty=2)
    same = DecodingOptions(beam_size=np.int64(3), suppress_tokens=np.array([3, 4]), length_penalty=2.0)
    assert options == same
    assert hash(options) == hash(same)
    assert len({options, same, DecodingOptions()}) == 2
    assert options != DecodingOptions(beam_size=3, suppress_tokens=[3], length_penalty=2)
    assert options != "options"
    assert DecodingOptions(beam_size=1, end_tokens=None) == DecodingOptions()
    assert DecodingOptions(end_tokens=[]) != DecodingOptions()


def test_results_are_equal_by_value(tiny: Model) -> None:
    """Attention too; they have no hash, as they hold lists."""
    options: Any = {"beam_size": 2, "return_attention": True, "return_token_scores": True}
    one, other = (tiny.generate(["abc"], **options)[0] for _ in range(2))
    assert one == other
    assert one is not other
    attention = other.hypotheses[0].attention
    assert attention is not None
    changed = replace(other.hypotheses[0], attention=attention + np.float32(0.1))
    assert changed != other.hypotheses[0]
    assert replace(other.hypotheses[0], attention=None) != other.hypotheses[0]
    assert Result([changed], other.source_tokens) != one
    assert one != "result"
    assert tiny.encode(["abc"]) == tiny.encode(["abc"]) != tiny.encode(["abd"])
    assert tiny.score(["abc"], ["AB"]) == tiny.score(["abc"], ["AB"]) != tiny.score(["abc"], ["BA"])
    for value in (one, changed, tiny.encode(["abc"]), tiny.score(["abc"], ["AB"])[0]):
        with pytest.raises(TypeError, match="unhashable"):
            hash(value)


def test_values_are_pickled(tiny: Model) -> None:
    """As pools of processes do; what comes back is equal."""
    results = tiny.generate(["abc", "de"], beam_size=2, num_hypotheses=2, return_attention=True)
    options = DecodingOptions(beam_size=3, suppress_tokens=(3,), max_length_ratio=(1, 2))
    values = (results, results[0], options, tiny.encode(["abc"]), tiny.score(["abc"], ["AB"]), tiny.manifest)
    for value in values:
        back = pickle.loads(pickle.dumps(value))
        assert type(back) is type(value)
        assert back == value


def subclasses(kind: type[S2SError]) -> list[type[S2SError]]:
    """A class of errors and all that derive from it."""
    return [kind, *(each for direct in kind.__subclasses__() for each in subclasses(direct))]


def test_errors_are_pickled() -> None:
    """Every class of errors; an error that can't be hangs a pool of processes."""
    for name in ("s2s_runtime.console.app", "s2s_runtime.serving.requests", "s2s_training.errors", "s2s_export.errors"):
        if importlib.util.find_spec(name.split(".")[0]) is not None:
            importlib.import_module(name)
    kinds = subclasses(S2SError)
    assert len(kinds) >= 15
    for kind in kinds:
        made = UnknownSymbolError("word", "x", 2, "a x") if kind is UnknownSymbolError else kind("what was wrong")
        made.place = 3  # type: ignore[attr-defined]
        back = pickle.loads(pickle.dumps(made))
        assert (type(back), str(back), back.args, vars(back)) == (kind, str(made), made.args, vars(made))
    item = pickle.loads(pickle.dumps(InputError.at("inputs", 4, "empty")))
    assert (str(item), item.place, item.reason) == ("inputs[4]: empty", 4, "empty")


def test_reprs_are_one_line_that_a_person_can_read(tiny: Model, fixtures: Path) -> None:
    """Of results, options, models and what they hold."""
    results = tiny.generate(["bad"], beam_size=2, num_hypotheses=2, return_attention=True)
    assert repr(results) == "[Result('BAD', score=-0.3287, hypotheses=2)]"
    assert repr(results[0].hypotheses[0]) == ("Hypothesis('BAD', score=-0.3287, finish_reason='end', attention=3x4)")
    assert repr(tiny.generate(["b?ad"], unknown_symbols="skip")) == "[Result('BAD', unknown_symbols=['?'])]"
    assert repr(tiny.score(["bad"], ["BAD"])) == "[TargetScore(score=-0.3287, log_probability=-1.315, tokens=4)]"
    assert repr(DecodingOptions(beam_size=3, seed=None)) == "DecodingOptions(beam_size=3)"
    assert repr(tiny.encode(["bad"])) == (
        "DecoderState(rows=1, state.0 1x1, state.1 1x8, memory.0 1x4x7, memory.1 1x4)"
    )
    described = "7 characters to 8 characters, feedback token, states 1 + 8, attention, float32"
    assert repr(tiny.manifest) == f"<Manifest: {described}>"
    assert repr(tiny.target_vocabulary) == "<Vocabulary: 8 characters '<s>' '</s>' '<unk>' 'A' 'B' 'C' 'D' 'E'>"
    with s2s_runtime.load(fixtures / "tiny.s2s") as model:
        assert repr(model) == f"<Model {fixtures / 'tiny.s2s'}: {described}, CPUExecutionProvider>"
    assert repr(model) == f"<Model {fixtures / 'tiny.s2s'}: {described}, closed>"
    assert repr(s2s_runtime.ensemble([tiny, tiny])).startswith("<Model ensemble of 2: 7 characters to 8")
    values = s2s_runtime.load(fixtures / "tiny-values.s2s")
    assert "2 features to 1 feature, feedback value" in repr(values)
    long = Hypothesis("word " * 100, [], [], None, "end")
    assert len(repr(long)) < 120
    assert "\n" not in repr(replace(long, text="a\nb"))


def test_results_are_a_list_and_a_table(tiny: Model) -> None:
    """A list like any other; a notebook shows a row a hypothesis, texts as they are."""
    results = tiny.generate(["bad", "abc"], beam_size=3, num_hypotheses=2)
    assert isinstance(results, list)
    assert type(results) is type(results[:1]) is type(tiny.generate([])) is Results
    assert isinstance(results[0], Result)
    shown = results._repr_html_()
    assert re.findall(r"<td[^>]*>([^<]*)</td>", shown)[:10] == (
        ["0", "bad&lt;/s&gt;", "BAD", "-0.329", "end", "", "", "BBD", "-0.696", "end"]
    )
    assert shown.count("<tr>") == 1 + 4
    assert "score" not in Results(tiny.generate(["bad"]))._repr_html_()
    assert "<b>" not in Results([Result([Hypothesis("<b>", [], [], None, "end")], ["<i>"])])._repr_html_()
    assert "unknown symbols" in Results(tiny.generate(["b?ad"], unknown_symbols="skip"))._repr_html_()
    assert "140 rows more" in Results(results[:1] * 100)._repr_html_()
    assert "<table" in Results()._repr_html_()


def test_attention_is_a_picture(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was asked for, and can be drawn."""
    [result] = tiny.generate(["bad"], return_attention=True)
    picture = result._repr_png_()
    assert picture is not None
    assert picture.startswith(b"\x89PNG\r\n")
    assert tiny.generate(["bad"])[0]._repr_png_() is None
    assert tiny.generate([""], return_attention=True)[0]._repr_png_() is None
    assert Results([result] * 2)._repr_html_().count('<img src="data:image/png;base64,') == 2
    assert "<img" not in Results([result] * 9)._repr_html_()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert result._repr_png_() is None
