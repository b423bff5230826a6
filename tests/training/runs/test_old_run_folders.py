"""A run folder of the first release: its model loads and exports, its configuration is read, its run goes on."""

import json
import shutil
from pathlib import Path

import pytest
from places import FIXTURES

FORMAT_1 = FIXTURES / "format-1"


@pytest.fixture
def old_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run folder, its data beside it, as the working folder has them."""
    shutil.copytree(FORMAT_1 / "run", tmp_path / "run")
    shutil.copy(FORMAT_1 / "m.tsv", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


@pytest.mark.tensorflow
def test_its_configuration_trains_anew(old_run: Path) -> None:
    """config.toml of an old run is what --config takes; its options are all still known."""
    from typer.testing import CliRunner

    from s2s_training.commands.train import app

    done = CliRunner().invoke(app, ["--config", str(old_run / "config.toml"), "--epochs", "1", "-o", "again"])
    assert done.exit_code == 0, done.output
    assert json.loads(Path("again/summary.json").read_text(encoding="utf-8"))["parameters"] == 11802


@pytest.mark.tensorflow
def test_its_model_exports(old_run: Path) -> None:
    """The bundle made of it now gives what the bundle made of it then gave."""
    import s2s_runtime
    from s2s_export import ExportOptions, export, load_model

    vocabulary = s2s_runtime.VocabularyFile.read(old_run / "vocab.json")
    export(load_model(old_run / "model.keras"), old_run / "new.s2s", ExportOptions(vocabulary=vocabulary))
    texts = [line.split("\t")[0] for line in (FORMAT_1 / "m.tsv").read_text(encoding="utf-8").splitlines()][:30]
    then, now = (s2s_runtime.load(old_run / name).generate(texts, beam_size=3) for name in ("model.s2s", "new.s2s"))
    assert [result.ids for result in now] == [result.ids for result in then]
