"""The command `s2s-train` as a user meets it."""

import json
import subprocess
import sys

import pytest

from s2s_training.config.toml_file import write_config
from s2s_training.data.datasets import default_config

MAIN = "from s2s_training.commands.train import main; main()"


def call(*arguments, code=MAIN):
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["no.tsv", "-o", "{}/run"], 1, "error: no file 'no.tsv': expected a file of pairs or a built-in data set"),
        (["{}/bad.tsv", "-o", "{}/run"], 1, "error: {}/bad.tsv, line 2: expected source<TAB>target, got no tab"),
        (["{}/empty.tsv", "-o", "{}/run"], 1, "error: {}/empty.tsv is empty: expected lines of source<TAB>target"),
        (["{}/bad.tsv", "-o", "{}"], 1, "error: {} exists: choose another folder, continue its run with --resume"),
        (["{}/bad.tsv", "-o", "{}/run", "--units", "0"], 2, "error: units: expected at least 1, got 0"),
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
        (["x.tsv", "-o", "run", "--cell", "rnn"], "Invalid value for '--cell'"),
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

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    (tmp_path / "x.tsv").touch()
    monkeypatch.setattr("s2s_training.train.train", interrupt)
    monkeypatch.setattr(sys, "argv", ["s2s-train", str(tmp_path / "x.tsv"), "-o", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    assert exit_info.value.code == 130
    assert f"error: interrupted; the same command with --resume continues {tmp_path / 'run'}" in capsys.readouterr().err


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
