"""The wheels installed in environments of their own, as their users do it: what each command then can do, and says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT


class Environment:
    """A fresh environment, and an empty folder to work in."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "environment" / "bin"
        self.folder = folder / "work"
        self.folder.mkdir()
        shutil.copytree(ROOT / "tests" / "fixtures" / "tiny.s2s", self.folder / "model.s2s")
        subprocess.run([sys.executable, "-m", "venv", self.bin.parent], check=True)

    def install(self, *requirements: str) -> None:
        """Install with pip, within the versions that are known to work together."""
        constraints = str(ROOT / "constraints.txt")
        pip = [self.bin / "python", "-m", "pip", "install", "--quiet", "--constraint", constraints]
        subprocess.run([*pip, *requirements], check=True)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, with none of the checkout in sight."""
        environment = {**os.environ, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )


def wheel(request: pytest.FixtureRequest, package: str) -> str:
    """The path of a built wheel."""
    folder = request.config.getoption("--wheels")
    if folder is None:
        pytest.skip("needs --wheels DIR, the folder that `make wheels` fills")
    [found] = folder.glob(f"{package}-*.whl")
    return str(found.resolve())


@pytest.fixture(scope="module")
def decoding(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What a server has installed: `s2s-runtime[cpu,cli]`."""
    built = wheel(request, "s2s_runtime")
    made = Environment(tmp_path_factory.mktemp("decoding"))
    made.install(f"{built}[cpu,cli]")
    (made.folder / "pairs.tsv").write_text("abc\tEEE\nba\tBE\n", encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What someone who trains and exports has installed: the exporter, which brings the other two."""
    built = [wheel(request, package) for package in ("s2s_runtime", "s2s_training", "s2s_export")]
    made = Environment(tmp_path_factory.mktemp("whole"))
    made.install(*built)
    return made


@pytest.mark.parametrize(
    "line",
    [
        "s2s-decode model.s2s abc",
        "s2s-decode model.s2s --json abc",
        "s2s-decode model.s2s --beam-size 5 --num-hypotheses 3 --scores abc",
        "s2s-decode model.s2s --score < pairs.tsv",
        "s2s-inspect model.s2s",
        "s2s-inspect model.s2s --json",
        "s2s-bench model.s2s --repeats 2 --rounds 1",
        "s2s-bench model.s2s --repeats 2 --rounds 1 --json",
        "s2s-evaluate model.s2s pairs.tsv --beam-size 5",
        "s2s-evaluate model.s2s pairs.tsv --json",
        "for name in decode evaluate plot bench inspect serve; do s2s-$name --help || exit 1; done",
        'python -c \'import s2s_runtime; s2s_runtime.load("model.s2s").generate(["abc"])\'',
    ],
)
def test_the_runtime_with_its_commands_is_enough(decoding: Environment, line: str):
    """Whoever installs `s2s-runtime[cpu,cli]` can decode, inspect, measure and evaluate, as tables and as JSON."""
    done = decoding.run(line)
    assert done.returncode == 0, done.stderr
    assert done.stdout or "import" in line


@pytest.mark.parametrize(
    ("line", "extra"),
    [
        ("s2s-plot attention model.s2s abc -o map.png", "plot"),
        ("s2s-decode model.s2s abc --attention-plot map.png", "plot"),
        ("s2s-bench model.s2s --plot sweep.png", "plot"),
        ("s2s-evaluate model.s2s pairs.tsv --bleu", "evaluate"),
    ],
)
def test_what_needs_another_extra_names_it(decoding: Environment, line: str, extra: str):
    """In one line, with what to type, before any work."""
    done = decoding.run(line)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: ")
    assert f"pip install 's2s-runtime[{extra}]'" in done.stderr


def test_the_whole_line_from_the_wheels(whole: Environment):
    """Train, draw, export and decode with nothing installed but the exporter's wheel and what it asks for."""
    whole.install("pip")  # pip itself says whether what is installed fits together
    assert whole.run("python -m pip check").returncode == 0
    training = "s2s-train addition --rows 200 --epochs 1 -o run"
    for line in (training, "s2s-export run/model.keras", "s2s-decode run/model.s2s 12+34", "test -s run/loss.png"):
        done = whole.run(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
