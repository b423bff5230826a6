"""What the runtime imports, what it says when something is missing, and that providers are never swapped silently."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import s2s_runtime
from s2s_runtime import BundleError, MissingExtraError, OptionError, ProviderError, read_manifest, sessions
from s2s_runtime.bundle_files import FolderFiles
from s2s_runtime.loading import open_step_model
from s2s_runtime.sessions import SessionSettings, open_session

TINY = Path(__file__).parents[1] / "fixtures" / "tiny.s2s"


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_import_pulls_in_no_framework() -> None:
    """Importing and using the package loads none of tensorflow, keras, onnx, tf2onnx, typer, matplotlib."""
    code = (
        "import sys, s2s_runtime\n"
        "for name in s2s_runtime.__all__: getattr(s2s_runtime, name)\n"
        "assert 'onnxruntime' not in sys.modules\n"
        f"model = s2s_runtime.load({str(TINY)!r})\n"
        "model.generate(['abc'], beam_size=3)\n"
        "banned = {'tensorflow', 'keras', 'onnx', 'tf2onnx', 'typer', 'rich', 'matplotlib', 's2s_training'}\n"
        "print(sorted(banned & set(sys.modules)))"
    )
    found = _python(code)
    assert (found.returncode, found.stdout, found.stderr) == (0, "[]\n", "")


def test_help_needs_neither_numpy_nor_onnxruntime() -> None:
    """A command answers --help before it imports what takes time."""
    code = (
        "import sys\nfrom s2s_runtime import cli, bench_cli, inspect_cli\n"
        "print(sorted({'numpy', 'onnxruntime', 'matplotlib'} & set(sys.modules)))"
    )
    assert _python(code).stdout == "[]\n"


def test_all_names_exist_and_nothing_else_does() -> None:
    """Every name of __all__ can be had; another is an AttributeError."""
    for name in s2s_runtime.__all__:
        assert getattr(s2s_runtime, name).__name__ == name
        assert name in dir(s2s_runtime)
    with pytest.raises(AttributeError, match="has no attribute 'nonesuch'"):
        _ = s2s_runtime.nonesuch


@pytest.mark.parametrize(
    ("missing", "code", "message"),
    [
        (
            "onnxruntime",
            f"import s2s_runtime; s2s_runtime.load({str(TINY)!r})",
            "onnxruntime is not installed: pip install 's2s-runtime[cpu]', or 's2s-runtime[gpu]' for CUDA",
        ),
        (
            "matplotlib.figure",
            f"import s2s_runtime; from s2s_runtime.plots import plot_attention\n"
            f"[r] = s2s_runtime.load({str(TINY)!r}).generate(['abc'], return_attention=True)\n"
            f"plot_attention(r.hypotheses[0], r.source_tokens, 'x.png')",
            "matplotlib is not installed: pip install 's2s-runtime[plot]'",
        ),
    ],
)
def test_missing_extras_are_named(missing: str, code: str, message: str) -> None:
    """Without an optional dependency there is one clear error that names the extra."""
    found = _python(f"import sys; sys.modules[{missing!r}] = None\n{code}")
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1] == f"s2s_runtime.errors.MissingExtraError: {message}"
    assert issubclass(MissingExtraError, ImportError)


def test_commands_without_typer_say_so() -> None:
    """One line, exit 1."""
    found = _python("import sys; sys.modules['typer'] = None\nfrom s2s_runtime.cli import main")
    assert (found.returncode, found.stderr) == (1, "error: typer is not installed: pip install 's2s-runtime[cli]'\n")


def test_a_silent_fall_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where onnxruntime quietly obtains another provider than asked for, loading fails."""
    ort = sessions.import_onnxruntime()

    class Fallen:
        def __init__(self, *arguments: Any, **more: Any) -> None:
            self.arguments = arguments

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    fake = SimpleNamespace(
        get_available_providers=lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"],
        InferenceSession=Fallen,
        SessionOptions=ort.SessionOptions,
        capi=ort.capi,
    )
    monkeypatch.setattr(sessions, "import_onnxruntime", lambda: fake)
    with pytest.raises(ProviderError, match="asked for CUDAExecutionProvider but onnxruntime fell back to CPU"):
        open_session(TINY / "decoder.onnx", SessionSettings(["cuda", "cpu"]))
    assert open_session(TINY / "decoder.onnx", SessionSettings(["cpu"])).get_providers()


def test_providers_go_by_short_or_full_names() -> None:
    """Cpu is CPUExecutionProvider; the model tells which one decodes."""
    for name in ("cpu", "CPU", "CPUExecutionProvider"):
        assert s2s_runtime.load(TINY, providers=[name]).provider == "CPUExecutionProvider"
    assert SessionSettings(["cuda", "cpu"], [{"device_id": 1}, {}]).device == ("cuda", 1)
    assert SessionSettings().device == ("cpu", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"providers": "cpu"}, r"providers: expected a list of names such as \['cuda', 'cpu'\], got 'cpu'"),
        ({"providers": []}, r"providers: expected a list of names such as"),
        (
            {"providers": ["cpu"], "provider_options": [{}, {}]},
            r"provider_options: expected one mapping per provider \(1\)",
        ),
        ({"intra_op_threads": 0}, r"intra_op_threads: expected an integer of at least 1 or None, got 0"),
        ({"spinning": 1}, r"spinning: expected True, False or None, got 1"),
        ({"inter_op_threads": "2"}, r"inter_op_threads: expected an integer of at least 1 or None, got '2'"),
    ],
)
def test_bad_session_settings_are_refused(arguments: dict[str, Any], message: str) -> None:
    """Each names the argument, what it got and what is allowed."""
    with pytest.raises(OptionError, match=message):
        s2s_runtime.load(TINY, **arguments)


def test_threads_are_passed_on() -> None:
    """Thread counts reach onnxruntime, and the results stay."""
    model = s2s_runtime.load(TINY, intra_op_threads=1, inter_op_threads=2, spinning=True, providers=["cpu"])
    assert model.generate(["abc"])[0].ids == s2s_runtime.load(TINY).generate(["abc"])[0].ids


def test_graphs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """A file that is no graph, and a graph with other inputs than the manifest says."""
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"x.onnx: onnxruntime can't load this graph: "):
        open_session(tmp_path / "x.onnx", SessionSettings())
    manifest = read_manifest(TINY)
    for name, inputs in (("encoder", "source"), ("greedy", "steps, mask"), ("decoder", "token, state.0")):
        swapped = {**manifest.graphs, name: manifest.graphs["select_state"]}
        data = {**manifest.to_dict(), "graphs": {name: graph.to_dict() for name, graph in swapped.items()}}
        with pytest.raises(BundleError, match=f"the graph doesn't fit the manifest: expected inputs {inputs}"):
            _open_and_step(s2s_runtime.Manifest.from_dict(data))


def _open_and_step(manifest: s2s_runtime.Manifest) -> None:
    """Open a bundle's graphs; the decoder's is opened when something goes step by step."""
    model = open_step_model(FolderFiles(TINY), manifest, SessionSettings())
    s2s_runtime.Model(manifest, model).generate(["abc"], engine="steps")
