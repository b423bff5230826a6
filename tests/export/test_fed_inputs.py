"""Decoders that read what is known in advance, zeros or constants: decoded as their authors' own loops decode them."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from architectures import continuous, fed
from random_weights import randomise
from typer.testing import CliRunner

import s2s_runtime
from s2s_export import ExportError, export
from s2s_runtime.commands.decode import app
from s2s_runtime.errors import InputError, OptionError
from s2s_runtime.model import Model
from s2s_training.errors import SplitError
from s2s_training.splitting.splitter import split

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fed")


def exported(build: object, folder: Path, **options: object) -> tuple[keras.Model, Model]:
    """A model with random weights, and its bundle."""
    model, name = build(), build.__name__
    randomise(model)
    done = export(model, folder / f"{name}.s2s", feed=fed.FEEDS[name], force=True, **options)
    assert done.report.passed
    return model, s2s_runtime.load(folder / f"{name}.s2s")


def test_what_is_known_in_advance_is_read_step_by_step(folder: Path) -> None:
    """Predictions are the training model's own for that source and that future; goes on from a state too."""
    model, bundle = exported(fed.forecast_from_the_known, folder, source_length=6)
    assert bundle.manifest.source.known == ("calendar",)
    rng = np.random.default_rng(0)
    past, calendar = (rng.normal(size=size).astype(np.float32) for size in ((5, 6, 2), (5, 5, 2)))
    expected = np.asarray(model([past, calendar]))
    np.testing.assert_allclose(bundle.predict(past, known={"calendar": calendar}), expected, atol=1e-5)
    by_name = bundle.predict({"past": past, "calendar": calendar}, steps=3)
    np.testing.assert_allclose(by_name, expected[:, :3], atol=1e-5)
    state = bundle.encode(past, known={"calendar": calendar})
    made, state = bundle.predict_from(state, steps=2)
    more, _ = bundle.predict_from(state, steps=3)
    np.testing.assert_allclose(np.concatenate([made, more], axis=1), expected, atol=1e-5)


WRONG = {
    "known: this bundle's model reads 'calendar' at each step of the target, got no names": {},
    "got 'prices'": {"known": {"prices": np.zeros((2, 5, 2))}},
    "known: expected a mapping": {"known": np.zeros((2, 5, 2))},
    "known['calendar'][0]: expected 5 steps, as there are to predict, got 4; give steps=4": {
        "known": {"calendar": np.zeros((2, 4, 2))}
    },
    "known['calendar'][1]: expected float arrays (sentences, time, 2)": {
        "known": {"calendar": [np.zeros((5, 2)), np.zeros((5, 3))]}
    },
    "expected as many rows for each name, got 2 of 'past', 3 of 'calendar'": {
        "known": {"calendar": np.zeros((3, 5, 2))}
    },
}


@pytest.mark.parametrize("message", WRONG)
def test_what_is_known_has_to_fit(message: str, folder: Path) -> None:
    """Missing, misnamed, too short, too narrow, or of other rows: one line that says which and what to give."""
    path = folder / "forecast_from_the_known.s2s"
    if not path.exists():
        exported(fed.forecast_from_the_known, folder, source_length=6)
    bundle = s2s_runtime.load(path)
    with pytest.raises(InputError, match=re.escape(message)):
        bundle.predict(np.zeros((2, 6, 2)), **WRONG[message])


def test_own_output_and_the_known_are_joined(folder: Path) -> None:
    """The first of two outputs is fed back beside two known features, as the author's loop does it, for any length."""
    model, bundle = exported(fed.forecast_joined, folder, source_length=6)
    rng = np.random.default_rng(0)
    past, weather = (rng.normal(size=size).astype(np.float32) for size in ((4, 6, 2), (4, 7, 2)))
    read = np.concatenate([np.zeros((4, 7, 1), np.float32), weather], axis=-1)
    for step in range(7):
        made = np.asarray(model([past, read]))
        if step < 6:
            read[:, step + 1, 0] = made[:, step, 0]
    np.testing.assert_allclose(bundle.predict(past, known={"load_and_weather": weather}), made, atol=1e-5)
    with pytest.raises(OptionError, match="has 5 to 7 steps; give steps, or rows of one length"):
        bundle.predict(past[:2], known={"load_and_weather": [weather[0], weather[1, :5]]})


def test_zeros_are_read_at_every_step(folder: Path) -> None:
    """Predictions are the training model's for an array of zeros."""
    model, bundle = exported(fed.forecast_of_zeros, folder, source_length=6)
    past = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32)
    np.testing.assert_allclose(bundle.predict(past, steps=5), model([past, np.zeros((3, 5, 1))]), atol=1e-5)
    with pytest.raises(InputError, match="reads nothing that is known in advance at each step"):
        bundle.predict(past, known={"nothing": np.zeros((3, 5, 1))}, steps=5)


def test_known_ids_beside_the_token_fed_back(folder: Path) -> None:
    """Greedy tokens are those of the training model re-fed with its prefix and its tags, whatever else is in the list.

    A target is no longer than its tags; streamed, from the command line, sentence by sentence: the same.
    """
    model, bundle = exported(fed.tags_known_beside_words, folder, start=1, max_length=6)
    rng = np.random.default_rng(0)
    sources = [rng.integers(3, 13, size) for size in (3, 7, 5, 4)]
    tags = [rng.integers(0, 4, size) for size in (6, 4, 6, 9)]

    def own_loop(source: np.ndarray, tag: np.ndarray) -> list[int]:
        written = [1]
        for step in range(min(6, len(tag))):
            row = np.array(model([source[None], np.array([written]), tag[None, : step + 1]]))[0, -1]
            row[[0, 1]] = -1
            written.append(int(row.argmax()))
        return written[1:]

    expected = [own_loop(*pair) for pair in zip(sources, tags, strict=True)]
    assert [result.ids for result in bundle.generate(sources, known={"tags": tags})] == expected
    assert [result.ids for result in bundle.generate(sources, known={"tags": tags}, engine="steps")] == expected
    rows = [{"source_tokens": source, "tags": tag} for source, tag in zip(sources, tags, strict=True)]
    assert [result.ids for result in bundle.generate_iter(rows)] == expected
    assert "".join(bundle.stream(sources[0], known={"tags": tags[0]})) == " ".join(map(str, expected[0]))
    scores = bundle.score(sources, expected, known={"tags": tags}, add_end=False)
    best = bundle.generate(sources, known={"tags": tags}, return_scores=True)
    assert [score.score for score in scores] == pytest.approx([result.score for result in best], abs=1e-4)
    np.savez(folder / "tags.npz", tags=np.array([tag[:4] for tag in tags]))
    lines = [" ".join(map(str, source)) for source in sources]
    command = [str(folder / "tags_known_beside_words.s2s"), "--known", str(folder / "tags.npz"), *lines]
    shown = CliRunner().invoke(app, command)
    assert shown.output.splitlines() == [" ".join(map(str, ids[:4])) for ids in expected], shown.output
    shown = CliRunner().invoke(app, [command[0], *lines])
    assert "give --known FILE.npz" in shown.stderr
    shown = CliRunner().invoke(app, [*command, *lines])
    assert "'tags' has 4 rows; expected one for each text" in shown.stderr


def test_the_start_token_at_every_step(folder: Path) -> None:
    """Tokens are those of the training model for an input of start tokens, all at once."""
    model, bundle = exported(fed.start_at_every_step, folder, start=1, max_length=5)
    source = np.random.default_rng(0).integers(3, 13, (4, 6))
    rows = np.array(model([source, np.ones((4, 5), int)]))
    rows[..., 0] = -1
    assert [result.ids for result in bundle.generate(source)] == rows.argmax(-1).tolist()


def notes_and_durations() -> keras.Model:
    """Two tokens a step, each read back."""
    sources = [keras.Input((None,), dtype="int32", name=name) for name in ("notes", "durations")]
    targets = [keras.Input((None,), dtype="int32", name=name) for name in ("next_notes", "next_durations")]
    read = [
        keras.layers.Concatenate()([keras.layers.Embedding(9, 4)(notes), keras.layers.Embedding(4, 2)(durations)])
        for notes, durations in (sources, targets)
    ]
    _, state = keras.layers.GRU(5, return_state=True)(read[0])
    made = keras.layers.GRU(5, return_sequences=True)(read[1], initial_state=state)
    heads = [keras.layers.Dense(size, "softmax", name=name)(made) for name, size in (("note", 9), ("duration", 4))]
    return keras.Model([*sources, *targets], heads)


UNSAID = {
    "what the output 'duration' gave a step before, the model writes several tokens a step": (notes_and_durations, {}),
    "of the decoder inputs 'next_notes' and 'next_durations' one can be": (
        notes_and_durations,
        {"next_durations": "previous"},
    ),
    "reads 2 features a step from its input 'calendar' and gives 1": (fed.forecast_from_the_known, {}),
    "reads 1 feature a step from its input 'nothing' and gives 1": (fed.forecast_of_zeros, {}),
    "reads 'tags' step by step beside 'target_tokens'": (fed.tags_known_beside_words, {}),
    "no input is called 'tag'": (fed.tags_known_beside_words, {"tag": "known"}),
    "feed={'tags': 'future'}: expected previous, known, zeros or constant": (
        fed.tags_known_beside_words,
        {"tags": "future"},
    ),
    "one can be the token before": (fed.tags_known_beside_words, {"tags": "previous", "target_tokens": "previous"}),
    "has 3 features and the model gives 2": (fed.forecast_joined, {"load_and_weather": "previous"}),
    "only previous has features to choose from": (fed.forecast_joined, {"load_and_weather": "known[0]"}),
}


@pytest.mark.parametrize("message", UNSAID)
def test_asks_what_the_graph_does_not_tell(message: str, tmp_path: Path) -> None:
    """What the decoder reads is asked for, never guessed; what doesn't fit is one line with both numbers."""
    build, feed = UNSAID[message]
    with pytest.raises((ExportError, SplitError), match=re.escape(message)):
        export(build(), tmp_path / "m.s2s", feed=feed, source_length=6)
    assert not (tmp_path / "m.s2s").exists()


def test_frames_are_given_and_come_as_they_are(tmp_path: Path) -> None:
    """Steps of several axes: what the author's loop gives from the last frame on, by every way to predict."""
    model = continuous.frames()
    randomise(model)
    with pytest.raises(ExportError, match=r"start: what is decoded has steps of shape \(4, 4, 1\)"):
        export(model, tmp_path / "m.s2s", feed={"last_frames": "previous"}, start_id=1)
    export(model, tmp_path / "m.s2s", feed={"last_frames": "previous"}, source_length=5, max_length=3, verify_sources=2)
    bundle = s2s_runtime.load(tmp_path / "m.s2s")
    assert (bundle.manifest.source.step, bundle.manifest.target.step) == ((4, 4, 1), (4, 4, 1))
    frames = np.random.default_rng(0).random((3, 5, 4, 4, 1), np.float32)
    fed, last = np.zeros((3, 3, 4, 4, 1), np.float32), frames[:, -1]
    expected = np.zeros_like(fed)
    for step in range(3):
        fed[:, step] = last
        expected[:, step] = last = np.asarray(model([frames, fed]))[:, step]
    np.testing.assert_allclose(bundle.predict(frames, start=frames[:, -1]), expected, atol=1e-5)
    rows = frames.reshape(3, 5, 16)
    np.testing.assert_allclose(bundle.predict(rows, start=frames[:, -1]), expected, atol=1e-5)
    ended = bundle.predict(frames, start=frames[:, -1], stop=lambda values: values[:, -1, 0, 0, 0] > -1)
    np.testing.assert_allclose(np.stack(ended), expected[:, :1], atol=1e-5)
    state = bundle.encode(frames, start=frames[:, -1])
    first, state = bundle.predict_from(state, steps=1)
    more, _ = bundle.predict_from(state, steps=2)
    np.testing.assert_allclose(np.concatenate([first, more], axis=1), expected, atol=1e-5)
    with pytest.raises(InputError, match=r"expected float arrays \(sentences, time, 4, 4, 1\), got float32 of shape"):
        bundle.predict(frames[:, :, :3])
    with pytest.raises(InputError, match=r"start: expected shape \(4, 4, 1\) or \(3, 4, 4, 1\), got \(3, 16\)"):
        bundle.predict(frames, start=rows[:, -1])


@pytest.mark.parametrize("what", ["previous+known", "previous[0]", "previous+zeros"])
def test_ids_have_no_parts(what: str) -> None:
    """An input of ids is fed one thing whole."""
    with pytest.raises(
        SplitError, match="holds ids, which have no features to join or to choose from; expected one of"
    ):
        split(fed.tags_known_beside_words(), feeds={"tags": what})
