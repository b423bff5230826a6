"""The command `s2s-train` as a user meets it."""

import json
import subprocess
import sys

import pytest

from s2s_training.config.toml_file import write_config
from s2s_training.data.datasets import default_config
from s2s_training.runs.run_folder import RunFolder

MAIN = "from s2s_training.commands.train import main; main()"


def call(*arguments, code=MAIN):
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["no.tsv", "-o", "{}/run"], 1, "error: no file 'no.tsv': expected a file of pairs, a folder"),
        (["{}/bad.tsv", "-o", "{}/run"], 1, "error: {}/bad.tsv, line 2: expected source<TAB>target, got no tab"),
        (["{}/empty.tsv", "-o", "{}/run"], 1, "error: {}/empty.tsv is empty: expected lines of source<TAB>target"),
        (["{}/bad.tsv", "-o", "{}"], 1, "error: {} exists: choose another folder, continue its run with --resume"),
        (["{}/bad.tsv", "-o", "{}/run", "--units", "0"], 2, "error: --units: expected an integer of at least 1, got 0"),
        (["{}/bad.tsv", "-o", "{}/run", "--resume", "--force"], 2, "error: resume, force: expected one of them at"),
        (["damped", "-o", "{}/run", "--tutorial"], 2, "error: tutorial: expected pairs of texts, got the continuous"),
        (
            ["--config", "{}/all.toml", "-o", "{}/run", "--tutorial"],
            2,
            "error: tutorial: {}/all.toml settles everything",
        ),
        (["damped", "-o", "{}/run", "--reverse"], 2, "error: reverse: continuous data sets hold no texts"),
        (["{}/bad.tsv", "-o", "{}/old", "--seeds", "1,2"], 1, "error: {}/old is the folder of a single run: choose an"),
    ],
)
@pytest.mark.tensorflow
def test_errors_are_one_line_and_leave_nothing(  # noqa: PLR0917  (fixtures)
    tmp_path, arguments, status, message, monkeypatch, capsys
):
    """What was wrong, what was expected, what to do; no traceback, no folder."""
    from s2s_training.commands import train as cli

    (tmp_path / "bad.tsv").write_text("a\tb\nc d\n", encoding="utf-8")
    (tmp_path / "empty.tsv").touch()
    write_config(tmp_path / "all.toml", default_config("bad.tsv"))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.toml").touch()
    monkeypatch.setattr(sys, "argv", ["s2s-train", *(argument.format(tmp_path) for argument in arguments)])
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    assert exit_info.value.code == status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(message.format(tmp_path))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epoch", "3"], "No such option: --epoch"),
        (["x.tsv"], "Missing option '--output'"),
        (["x.tsv", "-o", "run", "--cell", "xlstm"], "Invalid value for '--cell'"),
    ],
)
def test_wrong_usage_has_status_2(arguments, message, monkeypatch, capsys):
    """The option is named."""
    from s2s_training.commands import train as cli

    monkeypatch.setattr(sys, "argv", ["s2s-train", *arguments])
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    assert exit_info.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.tensorflow
def test_an_interrupted_run_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    """As after any Ctrl-C, the status is that of the signal."""
    from s2s_training.commands import train as cli

    run, begun = tmp_path / "my run", []

    def interrupt(config, folder, **_):
        if begun:
            RunFolder(folder).prepare(config, resume=False)
        begun.append(folder)
        raise KeyboardInterrupt

    (tmp_path / "x.tsv").touch()

    def interrupt_all(runs, *_):
        for folder, config in runs.items():
            RunFolder(folder).prepare(config, resume=False)
        raise KeyboardInterrupt

    monkeypatch.setattr("s2s_training.train.train", interrupt)
    monkeypatch.setattr("s2s_training.runs.side_by_side.train_side_by_side", interrupt_all)
    several, goes_on = tmp_path / "several", "goes on with the last whole epoch"
    for left, folder, jobs in (
        ("nothing was written yet", run, []),
        (f"s2s-train --resume -o '{run}' {goes_on}", run, []),
        (f"s2s-train --resume --jobs 2 -o {several} {goes_on}", several, ["--seeds", "1,2", "--jobs", "2"]),
    ):
        monkeypatch.setattr(sys, "argv", ["s2s-train", str(tmp_path / "x.tsv"), "-o", str(folder), *jobs])
        with pytest.raises(SystemExit) as exit_info:
            cli.main()
        assert exit_info.value.code == 130
        assert capsys.readouterr().err == f"error: interrupted; {left}\n"


@pytest.mark.tensorflow
@pytest.mark.parametrize("seeds", [[], ["--seeds", "1,2"]])
def test_the_folder_alone_continues_a_run(tmp_path, monkeypatch, capsys, seeds):
    """`--resume -o RUN` gives what the same command would have given without the interruption; of several seeds too."""
    (tmp_path / "pairs.tsv").write_text("".join(f"{i}\t{i}\n" for i in range(100, 200)), encoding="utf-8")
    options = [*("--epochs", "2", "--units", "4", "--cell", "gru", "--batch-size", "32", "--score", "5"), *seeds]
    begin = ["s2s-train", str(tmp_path / "pairs.tsv"), *options]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert status([*begin, "-o", str(whole)], monkeypatch) == 0
    with monkeypatch.context() as patched:
        patched.setattr("s2s_training.fit.epoch_history.KeepHistory.on_epoch_begin", _interrupt_in_the_second_epoch)
        assert status([*begin, "-o", str(cut)], patched) == 130
    assert status(["s2s-train", "--resume", "-o", str(cut), "--tensorboard"], monkeypatch) == 0
    folders = [(each / seed if seeds else each) for each in (whole, cut) for seed in ("seed-1", "seed-2")]
    figures = [json.loads((folder / "history.json").read_text()) for folder in folders]
    for history in figures:
        del history["seconds"]
    assert figures[:2] == figures[2:]
    capsys.readouterr()
    assert status(["s2s-train", "--resume", "-o", str(cut), "--units", "5"], monkeypatch) == 1
    assert "was started with other options (then, now): units (4, 5)" in capsys.readouterr().err


def status(arguments, patch):
    """The exit status of the command in this process."""
    from s2s_training.commands import train as cli

    patch.setattr(sys, "argv", arguments)
    try:
        cli.main()
    except SystemExit as end:
        return end.code
    return 0


def _interrupt_in_the_second_epoch(self, epoch, logs=None):
    self._begun = 0.0
    if epoch == 1:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "-o", "{}/none"], "error: {}/none: no run began there that could be resumed: give DATA to start"),
        (["--resume", "-o", "{}/run"], "error: no file 'gone.tsv': expected a file of pairs, a folder"),
        (["--resume", "-o", "{}/run"], "; {}/run has its paths as they were given: resume it in the folder where it"),
        (["--resume", "-o", "{}/several"], "error: {}/several/seeds.json: expected a list of seeds, got {{'a': 1}}"),
    ],
)
def test_what_cannot_be_resumed_says_why(tmp_path, monkeypatch, capsys, arguments, message):
    """One line, before TensorFlow is loaded."""
    for folder in ("run", "several/seed-3"):
        (tmp_path / folder).mkdir(parents=True)
        write_config(tmp_path / folder / "config.toml", default_config("gone.tsv"))
    (tmp_path / "several" / "seeds.json").write_text('{"a": 1}')
    assert status(["s2s-train", *(argument.format(tmp_path) for argument in arguments)], monkeypatch) != 0
    assert message.format(tmp_path) in capsys.readouterr().err


def test_what_is_no_text_is_said_before_tensorflow_is_loaded(tmp_path, monkeypatch, capsys):
    """Excel's "Unicode text" without --encoding."""
    (tmp_path / "excel.txt").write_bytes("a\tb\r\n".encode("utf-16"))
    monkeypatch.setattr("s2s_training.quiet_import.import_quietly", lambda: pytest.fail("it was loaded"))
    assert status(["s2s-train", str(tmp_path / "excel.txt"), "-o", str(tmp_path / "run")], monkeypatch) == 1
    assert 'it looks like UTF-16, as Excel writes "Unicode text"; give --encoding utf-16' in capsys.readouterr().err


def test_help_shows_examples_without_loading_tensorflow():
    """Help comes at once."""
    loaded = "print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    done = call("--help", code=f"import sys, atexit; atexit.register(lambda: {loaded}); {MAIN}")
    assert done.returncode == 0
    assert "s2s-train cmudict" in done.stdout
    assert done.stdout.endswith("False False\n")


@pytest.mark.tensorflow
def test_the_command_prints_json_and_keeps_native_messages_off_the_terminal(tmp_path):
    """Standard output holds the summary alone; standard error holds progress alone."""
    (tmp_path / "pairs.tsv").write_text("".join(f"{i}\t{i}\n" for i in range(100, 200)), encoding="utf-8")
    done = call(
        *(tmp_path / "pairs.tsv", "-o", tmp_path / "run", "--json", "--epochs", 1, "--units", 4, "--cell", "gru")
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "run" / "summary.json").read_text())
    lines = done.stderr.splitlines()
    assert "pairs to train on" in lines[0]
    assert any(line.startswith("epoch   1/1  loss ") for line in lines)
    assert not [line for line in lines if "cuda" in line.lower() or "warning" in line.lower() or "I0000" in line]
