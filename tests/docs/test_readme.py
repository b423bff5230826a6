"""README.md and the runtime's: every command line runs, and every Python snippet.

Small files stand in for yours: `fra.txt` holds a few hundred pairs, and `s2s-train` is cut to one epoch, by options put
behind those that the README gives. `pip install` lines are run by tests/packaging; of `make` lines it is looked at what
they would run.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from architectures.fed import forecast_from_the_known
from model_pairs import lstm_of_the_tutorial
from places import ROOT
from warm_commands import warm_commands

pytestmark = pytest.mark.tensorflow

README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNTIME_README = (ROOT / "runtime" / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPETS = [body for page in (README, RUNTIME_README) for kind, body in FENCE.findall(page) if kind == "python"]
LETTERS = "s2s-train fra.txt --bidirectional --attention dot -o runs/letters"
BIN = Path(sys.executable).parent
SHORT_TRAINING = """#!/bin/bash
cut="--epochs 1 --score 10 --rows 260"
case "$*" in (*sine-cosine*) cut="--epochs 1";; (*--seeds*) cut="$cut --seeds 1,2";; esac
exec {real} "$@" $cut
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the README's reader has; its commands, and a short way to train, in front of the path."""
    folder = tmp_path_factory.mktemp("desk")
    for name in ("bin", "warm"):
        (folder / name).mkdir()
    wrapper = folder / "bin" / "s2s-train"
    wrapper.write_text(SHORT_TRAINING.format(real=shlex.quote(str(folder / "warm" / "s2s-train"))), encoding="utf-8")
    wrapper.chmod(0o755)
    with warm_commands(folder / "warm"):
        lay_out(folder)
        yield folder


def lay_out(folder: Path) -> None:
    """Write what the reader has: pairs, models, bundles."""
    write_pairs(folder)
    run(folder, "s2s-train fra.txt --tutorial -o trained")
    for name in ("model.keras", "vocab.json"):
        shutil.copy(folder / "trained" / name, folder / name)
    code = "import keras; keras.models.load_model('model.keras').save('model.h5')"
    run(folder, f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}")
    for name in ("forecast", "loop"):
        (folder / name).mkdir()
    forecast_from_the_known().save(folder / "forecast" / "model.keras")
    halves = lstm_of_the_tutorial()
    halves.encoder.save(folder / "loop" / "encoder.h5")
    halves.decoder.save(folder / "loop" / "decoder.h5")
    run(folder, "s2s-export model.keras && cp -r model.s2s old.s2s && mv model.s2s new.s2s")


def write_pairs(folder: Path) -> None:
    """Pairs of short sentences, and the files that hold the same in other ways."""
    verbs = {
        "Run": "Courez",
        "Go": "Allez",
        "Stop": "Arrêtez",
        "Sing": "Chantez",
        "Look": "Regardez",
        "Wait": "Attendez",
    }
    ends = {"!": " !", ".": ".", " now.": " maintenant.", " too!": " aussi !", " here.": " ici.", " again.": " encore."}
    whom = {
        "": "",
        ", Tom": ", Tom",
        ", Ann": ", Ann",
        ", Eve": ", Ève",
        ", Max": ", Max",
        ", Kim": ", Kim",
        ", Al": ", Al",
    }
    pairs = [
        f"{verb}{name}{end}\t{verbs[verb]}{whom[name]}{ends[end]}" for verb, name, end in product(verbs, whom, ends)
    ]
    pairs = [pair for pair in dict.fromkeys(pairs) if len(pair.split("\t")[0]) <= 16]
    for name in ("fra.txt", "pairs.tsv"):
        (folder / name).write_text("\n".join(pairs) + "\n", encoding="utf-8")
    (folder / "test.tsv").write_text("\n".join(pairs[:20]) + "\n", encoding="utf-8")
    (folder / "sentences.txt").write_text(
        "".join(f"{pair.split(chr(9))[0]}\n" for pair in pairs[:20]), encoding="utf-8"
    )


def run(folder: Path, line: str) -> None:
    """Run a line as a shell does, and show what it said where it fails."""
    path = os.pathsep.join([*(str(folder / name) for name in ("bin", "warm")), str(BIN), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def command_lines(page: str = README) -> list[str]:
    """Every line of the shell blocks, those continued on the next one joined."""
    body = "".join(block for kind, block in FENCE.findall(page) if kind == "sh").replace("\\\n", "")
    return [line for line in body.splitlines() if line.strip() and not line.startswith("#")]


def test_every_fence_is_known() -> None:
    """What is neither run nor the output of the demo would go stale."""
    kinds = re.findall(r"^```(\w*)$", README, re.MULTILINE)
    assert set(kinds) <= {"sh", "python", "text", ""}
    assert kinds.count("text") == 1
    assert len(command_lines()) > 20


@pytest.mark.parametrize("line", [line for line in command_lines() if line.startswith("s2s-")])
def test_a_command_line_runs(desk: Path, line: str) -> None:
    """As it stands, in the order of the page; by itself it finds what earlier lines would have left."""
    if "runs/letters/" in line:
        bundle_with_attention(desk)
    if line.startswith("s2s-export"):
        remove_output(desk, line)
    elif not (desk / "model.s2s").exists():
        shutil.copytree(desk / "new.s2s", desk / "model.s2s")
    run(desk, line)


def bundle_with_attention(folder: Path) -> Path:
    """The bundle of the page's model with attention, made where no line before has."""
    bundle = folder / "runs" / "letters" / "model.s2s"
    if not bundle.exists():
        run(folder, f"test -e runs/letters/model.keras || {LETTERS}")
        run(folder, "s2s-export runs/letters/model.keras")
    return bundle


def remove_output(folder: Path, line: str) -> None:
    """Remove what an export would find in its place, and make the folder that its reader would have made."""
    _, model, *_ = line.split()
    shutil.rmtree((folder / model).with_suffix(".s2s"), ignore_errors=True)
    (folder / "out").mkdir(exist_ok=True)


@pytest.mark.parametrize("line", [line for line in command_lines(RUNTIME_README) if line.startswith("s2s-")])
def test_a_command_line_of_the_runtimes_page_runs(desk: Path, line: str) -> None:
    """On a bundle of a model with attention, as one of its pictures needs."""
    folder = desk / "decoding"
    if not folder.exists():
        folder.mkdir()
        shutil.copytree(bundle_with_attention(desk), folder / "model.s2s")
        write_pairs(folder)
    run(folder, line)


@pytest.mark.parametrize("line", [line for line in command_lines() if line.startswith("make ")])
def test_a_make_line_names_targets(line: str) -> None:
    """With the variables that they need: `make -n` shows what would run, and each of its commands is there."""
    command, *_ = line.split("#", maxsplit=1)
    done = subprocess.run(["bash", "-c", f"{command} --dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in set(re.findall(r"\bs2s-[a-z]+\b(?=[ \"])", done.stdout)):
        assert (BIN / name).exists() or name.startswith(("s2s-runtime", "s2s-training")), name


def test_other_lines_install() -> None:
    """Nothing else is asked of the reader."""
    others = [line for line in command_lines() if not line.startswith(("s2s-", "make "))]
    assert all(line.startswith("pip install ") for line in others), others


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_a_snippet_runs(desk: Path, snippet: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With texts and targets as a caller has them, and what the tutorial's script has."""
    if not (desk / "model.s2s").exists():
        shutil.copytree(desk / "new.s2s", desk / "model.s2s")
    monkeypatch.chdir(desk)
    namespace = {"__name__": "__main__", "texts": ["Run!", "Go."], "targets": ["Courez !", "Allez."]}
    if "input_token_index" in snippet:
        namespace |= what_the_tutorials_script_has()
    exec(compile(snippet, "README.md", "exec"), namespace)


def what_the_tutorials_script_has() -> dict[str, object]:
    """Its model and its two dictionaries, by their names there."""
    import keras

    sides = json.loads(Path("vocab.json").read_text(encoding="utf-8"))
    source, target = (
        {symbol: place for place, symbol in enumerate(sides[side]["symbols"])} for side in ("source", "target")
    )
    return {
        "model": keras.models.load_model("model.keras"),
        "input_token_index": source,
        "target_token_index": target,
    }
