"""Models that write several tokens a step, all of them fed back: one token of the bundle is all of a step."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from export_command import fails
from keras import layers
from random_weights import randomise

import s2s_runtime
from s2s_export import ExportError, ExportOptions, export
from s2s_export.exporter import take_apart
from s2s_runtime import PaddingPolicy, Vocabulary, VocabularyFile

pytestmark = pytest.mark.tensorflow

NOTES, DURATIONS, STEPS = 9, 4, 7
BOTH = "note+duration"


def melody(*, one_hot: bool = False, activation: str | None = "softmax", width: int = NOTES) -> keras.Model:
    """Continue a melody: notes and durations on either side, both of the last step read, both written."""
    given = [keras.Input((None,), dtype="int32", name=name) for name in ("notes", "durations")]
    sizes = {"next_notes": width, "next_durations": DURATIONS}
    fed = [
        keras.Input((None, size) if one_hot else (None,), dtype="float32" if one_hot else "int32", name=name)
        for name, size in sizes.items()
    ]
    read = [layers.Embedding(size, 5)(x) for x, size in zip(given, (NOTES, DURATIONS), strict=True)]
    embedded = fed if one_hot else [layers.Embedding(n, 5)(x) for x, n in zip(fed, sizes.values(), strict=True)]
    _, *states = layers.LSTM(10, return_state=True)(layers.Concatenate()(read))
    y = layers.LSTM(10, return_sequences=True)(layers.Concatenate()(embedded), initial_state=states)
    heads = {"duration": DURATIONS, "note": NOTES}  # not in the order of the inputs
    model = keras.Model([*given, *fed], [layers.Dense(n, activation, name=name)(y) for name, n in heads.items()])
    randomise(model)
    for weight in model.weights:
        if "embeddings" in weight.path or not one_hot or "lstm" in weight.path:
            weight.assign(weight * 3)  # what is read matters more
    return model


def looped(model: keras.Model, notes: list[int], durations: list[int], *, one_hot: bool) -> list[tuple[int, int]]:
    """Write on as the author's loop does, the likeliest of either head fed back, until note 2; but never the start."""
    written = [(1, 1)]
    while len(written) <= STEPS and written[-1][0] != 2:
        fed = [np.array([column]) for column in zip(*written, strict=True)]
        if one_hot:
            fed = [np.eye(n, dtype=np.float32)[x] for n, x in zip((NOTES, DURATIONS), fed, strict=True)]
        heads = model([np.array([notes]), np.array([durations]), *fed], training=False)
        duration, note = (np.asarray(head, np.float64)[0, -1] for head in heads)
        likely = note[:, None] + duration if one_hot else note[:, None] * duration
        likely[1, 1] = -np.inf
        note, duration = np.unravel_index(likely.argmax(), likely.shape)
        written.append((int(note), int(duration)))
    return written[1:]


@pytest.mark.parametrize(("one_hot", "activation"), [(False, "softmax"), (True, None)])
def test_both_are_those_of_the_authors_loop(one_hot: bool, activation: str | None, tmp_path: Path) -> None:
    """Notes and durations equal the loop's, and the score of a pair is the sum of both log-probabilities."""
    model = melody(one_hot=one_hot, activation=activation)
    settings = {"start_id": 1, "end_ids": (2,), "max_length": STEPS, "source_length": 5, "decoder_output": BOTH}
    exported = export(model, tmp_path / "m.s2s", verify_sources=4, **settings)
    assert "'duration' is fed to 'next_durations'" in " ".join(exported.facts.notes)
    rng, bundle = np.random.default_rng(3), s2s_runtime.load(tmp_path / "m.s2s")
    sources = [(list(rng.integers(1, NOTES, 5)), list(rng.integers(0, DURATIONS, 5))) for _ in range(20)]
    rows = {"notes": [notes for notes, _ in sources], "durations": [durations for _, durations in sources]}
    results = bundle.generate(rows, return_end_token=True, return_scores=True)
    wanted = [looped(model, *source, one_hot=one_hot) for source in sources]
    assert [[tuple(map(int, token.split("|"))) for token in result.tokens] for result in results] == wanted
    assert len({tuple(target) for target in wanted}) > 5
    fed = [np.array([[1]]), np.array([[1]])]
    fed = [np.eye(n, dtype=np.float32)[x] for n, x in zip((NOTES, DURATIONS), fed, strict=True)] if one_hot else fed
    heads = model([np.array([rows["notes"][0]]), np.array([rows["durations"][0]]), *fed], training=False)
    logs = [np.log(np.asarray(h)) if activation else np.asarray(keras.ops.log_softmax(h)) for h in heads]
    (score,) = bundle.score({name: row[:1] for name, row in rows.items()}, [results[0].ids[:1]])
    assert score.token_scores[0] == pytest.approx(sum(float(log[0, 0].max()) for log in logs), abs=1e-4)


def test_symbols_of_the_first() -> None:
    """A vocabulary names the first output's symbols, start and end among them."""
    names = Vocabulary("symbol", ("_", "go", "stop", *"abcdef"))
    file = VocabularyFile(None, names, PaddingPolicy(masked=False))
    options = ExportOptions(
        vocabulary=file, start_symbol="go", end_symbol="stop", max_length=3, source_length=5, decoder_output=BOTH
    )
    _, _, facts = take_apart(melody(), options)
    symbols = facts.target_vocabulary.symbols
    assert symbols[:5] == ("_|0", "_|1", "_|2", "_|3", "go|0")
    assert facts.target.start_id == symbols.index("go|1")
    assert [symbols[i] for i in facts.target.end_ids] == ["stop|0", "stop|1", "stop|2", "stop|3"]


def test_the_command_says_how(tmp_path: Path) -> None:
    """Without the option it is asked for, with the line to type."""
    melody().save(tmp_path / "m.keras")
    fails([tmp_path / "m.keras", "--start-id", "1", "--end-id", "2"], "give --decoder-output note+duration, and one")


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ({}, {"decoder_output": "note+pitch"}, "joined by +, each once; got 'pitch'"),
        (
            {},
            {"start_id": 5},
            "start: 5 is no id of each output (9, 4 symbols): name what all start with as a joined",
        ),
        ({}, {"end_ids": (9,)}, "expected ids of the first output, 0 to 8, got 9"),
        ({"width": 8}, {}, "the inputs that would read them know others (next_notes 8, next_durations 4)"),
        ({}, {"feed": {"next_notes": "previous"}}, "which 2 inputs get what these gave a step before can't be told"),
    ],
)
def test_what_cannot_be_joined(model: dict[str, int], options: dict[str, object], said: str) -> None:
    """The reason is the true one, and what to type is said."""
    given = {"start_id": 1, "end_ids": (2,), "decoder_output": BOTH, **options}
    with pytest.raises(ExportError, match=re.escape(said)):
        take_apart(melody(**model), ExportOptions(**given))  # type: ignore[arg-type]


def test_a_start_of_different_ids() -> None:
    """It is named by its joined symbol."""
    options = ExportOptions(start_symbol="5|0", end_ids=(2,), max_length=3, source_length=5, decoder_output=BOTH)
    _, _, facts = take_apart(melody(), options)
    assert facts.target.start_id == 5 * DURATIONS
