"""Runs that train language models: figures, states, interruption."""

import json
import math

import numpy as np
import pytest

from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.data.datasets import default_config
from s2s_training.errors import ConfigError, DataError, RunFolderError

pytestmark = pytest.mark.tensorflow
OPTIONS = {"kind": "language-model", "units": 6, "embedding": 5, "epochs": 2, "batch_size": 4, "window": 5}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Lines of one to four words, and an empty one."""
    rng = np.random.default_rng(0)
    rows = [" ".join(rng.choice(["go", "run", "tom", "is", "cold"], rng.integers(1, 5))) for _ in range(60)]
    path = tmp_path_factory.mktemp("text") / "lines.txt"
    path.write_text("\n".join([*rows[:30], "", *rows[30:]]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def config(text):
    """A run of a few seconds, with dropout, whose windows are shorter than lines."""
    shares = {"valid_fraction": 0.2, "test_fraction": 0.2}
    return default_config(str(text), "language-model").override(**OPTIONS, **shares, dropout=0.1)


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """The folder of a run that was not interrupted, and its summary."""
    from s2s_training.train import train

    folder = tmp_path_factory.mktemp("runs") / "finished"
    return folder, train(config, folder)


def test_more_batches_than_there_are_are_not_gathered(config, text, tmp_path):
    """No step would be taken: that is said of texts and of pairs, and no folder is left."""
    from s2s_training.train import train

    (tmp_path / "pairs.tsv").write_text("".join(f"{i}\t{i}\n" for i in range(60)), encoding="utf-8")
    pairs = default_config(str(tmp_path / "pairs.tsv")).override(units=4, embedding=4, epochs=1)
    for each in (config, pairs):
        with pytest.raises(ConfigError, match=r"accumulation: expected at most \d+, the batches of the run, got 9999"):
            train(each.override(accumulation=9999), tmp_path / "run")
        assert not (tmp_path / "run").exists()


def losses(folder, lines):
    """The cross-entropy of each symbol of lines by the saved model, each line by itself, as anyone would count it."""
    import keras

    model = keras.models.load_model(folder / "model.keras", compile=False, custom_objects={})
    target = VocabularyFile.read(folder / "vocab.json").target
    found = []
    for line in lines:
        ids = target.encode_sentence(line)
        probabilities = np.asarray(model(np.array([ids[:-1]])))[0]
        found += [-math.log(probabilities[at, symbol]) for at, symbol in enumerate(ids[1:])]
    return found


def test_perplexity_is_that_of_lines_by_themselves(finished):
    """What windows with carried states come to is what the saved model says of each whole line."""
    folder, summary = finished
    names = {"config.toml", "vocab.json", "test.txt", "history.json", "loss.png", "summary.json", "model.keras"}
    assert {path.name for path in folder.iterdir()} == names
    lines = (folder / "test.txt").read_text(encoding="utf-8").splitlines()
    found = losses(folder, lines)
    figures = summary["errors"]["held-out lines"]
    assert (figures["lines"], figures["symbols"]) == (len(lines), len(found))
    assert figures["perplexity"] == pytest.approx(math.exp(np.mean(found)), rel=1e-4)
    history = json.loads((folder / "history.json").read_text())
    for name in ("", "val_"):
        expected = np.exp(history[f"{name}cross_entropy"])
        assert history[f"{name}perplexity"] == pytest.approx(expected.tolist(), rel=1e-4)
    assert history["loss"][1] < history["loss"][0]


def test_an_interrupted_run_ends_as_if_it_had_not_been(finished, config, text, tmp_path):
    """Ended after an epoch and resumed: the same figures; on another text it isn't resumed."""
    import keras

    from s2s_training.train import train

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(config, folder, callbacks=[Stop()])
    assert (folder / "train.ids").is_file()
    content = text.read_text(encoding="utf-8")
    text.write_text(f"{content}tom\n", encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"the data changed since this run began \("):
        train(config, folder, resume=True)
    text.write_text(content, encoding="utf-8")
    summary = train(config, folder, resume=True)
    assert summary["errors"] == finished[1]["errors"]
    ended, whole = (json.loads((path / "history.json").read_text()) for path in (folder, finished[0]))
    assert {**ended, "seconds": 0} == {**whole, "seconds": 0}


def test_states_are_carried_over_line_ends_of_a_running_text(config, tmp_path):
    """With one row the windows of a text give what the saved model gives for all of it at once."""
    from s2s_training.runs.run_folder import RunFolder
    from s2s_training.train import prepare

    running = config.override(carry="text", batch_size=1, dropout=0.0)
    task = prepare(running)
    assert (task.vocabulary.target.start, task.vocabulary.target.end) == (None, None)
    folder = RunFolder(tmp_path / "run")
    folder.prepare(running, resume=False)
    task.write(folder)
    found, read = [], []
    for (ids, carried), labels, weights in task.validation():
        probabilities = np.asarray(task.model((ids, carried)))[0]
        read += zip(np.asarray(ids)[0], np.asarray(labels)[0], probabilities, np.asarray(weights)[0], strict=True)
    symbols = [int(symbol) for symbol, _, _, weight in read if weight]
    assert task.vocabulary.target.symbols.index("\n") in symbols
    whole = np.asarray(task.trained()(np.array([symbols])))[0]
    found = np.array([row for _, _, row, weight in read if weight])
    np.testing.assert_allclose(found, whole, atol=1e-5)


def test_texts_that_leave_a_part_without_lines_are_refused(tmp_path):
    """The message says how many lines each part has."""
    from s2s_training.language_models.text_parts import TextParts

    path = tmp_path / "one.txt"
    path.write_text("only this\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"none for the training and validation part \(0 training, 0 valid.*, 1 test\)"):
        TextParts(default_config(str(path), "language-model").data)
