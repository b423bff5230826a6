"""What the runtime imports, what it says when something is missing, and that providers are never swapped silently."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from inspect import isfunction
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_type_hints

import pytest
from places import TINY
from typer.testing import CliRunner

import s2s_runtime
from s2s_runtime import BundleError, MissingExtraError, OptionError, ProviderError, read_manifest
from s2s_runtime.bundle.storage import FolderFiles
from s2s_runtime.commands import bench as bench_cli
from s2s_runtime.commands import decode as cli
from s2s_runtime.commands import evaluate as evaluate_cli
from s2s_runtime.opening.step_models import open_step_model
from s2s_runtime.ort import open_session as open_session_module
from s2s_runtime.ort import sessions
from s2s_runtime.ort.open_session import open_session
from s2s_runtime.ort.sessions import SessionSettings


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_type_hints_of_a_model_can_be_read() -> None:
    """Also those of modules that are imported with the first call: applications build forms and checks from them."""
    methods = [method for name, method in vars(s2s_runtime.Model).items() if isfunction(method) and name[0] != "_"]
    assert len(methods) > 10
    assert all("return" in get_type_hints(method) for method in methods)


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


def test_a_plain_call_imports_what_it_needs() -> None:
    """Whoever loads a bundle and decodes doesn't wait for what other calls and other bundles need.

    A module takes a tenth of a millisecond to import, a dataclass three: a cold start is counted, not timed.
    """
    code = (
        "import sys, s2s_runtime\n"
        f"model = s2s_runtime.load({str(TINY)!r})\n"
        "model.generate(['abc'])\n"
        "print(*sys.modules)"
    )
    alone = _python("import sys, pathlib, numpy, onnxruntime; print(*sys.modules)").stdout.split()
    modules = _python(code).stdout.split()
    own = [name.split(".")[1:] for name in modules if name.startswith("s2s_runtime.")]
    others = {"confidence", "ctc", "fusion", "language_models", "lexicon", "one_pass", "plots"}
    assert not others & {room for room, *_ in own}
    assert not {"numpy.ma", "difflib", "glob", "logging", "queue", "tempfile", "zipfile"} & {*modules} - {*alone}
    assert 40 < len(own) <= 83


def test_help_needs_neither_numpy_nor_onnxruntime() -> None:
    """A command answers --help before it imports what takes time."""
    code = (
        "import sys\nfrom s2s_runtime.commands import batch, bench, decode, evaluate, inspect, plot, serve\n"
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
            f"import s2s_runtime; from s2s_runtime.plots.attention import plot_attention\n"
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
    found = _python("import sys; sys.modules['typer'] = None\nfrom s2s_runtime.commands.decode import main")
    assert (found.returncode, found.stderr) == (1, "error: typer is not installed: pip install 's2s-runtime[cli]'\n")


Asked = list[tuple[list[str], list[dict[str, str]] | None]]


@pytest.fixture
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    """An onnxruntime built with CUDA and TensorRT where these don't start; returns what sessions are asked for."""

    def install(available: Sequence[str], *, broken: str = "") -> Asked:
        ort, asked = sessions.import_onnxruntime(), []

        def make(graph: Any, options: Any, *, providers: list[str], **more: Any) -> Any:
            assert more["enable_fallback"] == 0
            assert set(providers) <= {*available}
            asked.append((providers, more["provider_options"]))
            if broken in providers:
                raise ort.capi.onnxruntime_pybind11_state.EPFail("no driver\nand more")
            return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

        fake = SimpleNamespace(**{**vars(ort), "InferenceSession": make})
        fake.get_available_providers = lambda: list(available)
        for module in ("sessions", "open_session"):
            monkeypatch.setattr(f"s2s_runtime.ort.{module}.import_onnxruntime", lambda: fake)
        return asked

    return install


CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def test_a_silent_fall_back_is_an_error(without_cuda: Callable[..., Asked]) -> None:
    """Where onnxruntime quietly obtains another provider than asked for, loading fails and says what would allow it."""
    without_cuda([CUDA, CPU])
    with pytest.raises(
        ProviderError, match="asked for CUDAExecutionProvider but onnxruntime fell back to CPU"
    ) as found:
        open_session((TINY / "decoder.onnx").read_bytes(), SessionSettings(["cuda", "cpu"]), "decoder.onnx")
    assert "allow_fallback=True (--allow-fallback) takes what there is" in str(found.value)
    assert open_session(
        (TINY / "decoder.onnx").read_bytes(), SessionSettings(["cpu"]), "decoder.onnx"
    ).get_providers() == [CPU]


@pytest.mark.parametrize(
    ("available", "broken", "expected"),
    [
        ([CUDA, CPU], "", [([CUDA, CPU], [{"device_id": "1"}, {}]), ([CPU], [{}])]),  # fell back silently
        ([CPU], "", [([CPU], [{}])]),  # not built in: never asked for, so that onnxruntime doesn't warn
        ([CUDA, CPU], CUDA, [([CUDA, CPU], [{"device_id": "1"}, {}]), ([CPU], [{}])]),  # fails to start
        ([CUDA], "", [([CUDA], [{"device_id": "1"}]), ([CPU], None)]),  # the CPU is always there
    ],
)
def test_a_fall_back_that_is_allowed(
    without_cuda: Callable[..., Asked], available: list[str], broken: str, expected: Asked
) -> None:
    """allow_fallback: what can't be had is passed over; the model decodes on the host and tells with what."""
    asked = without_cuda([*available, *([] if CPU in available else [CPU])], broken=broken)
    wanted = ["cuda", "cpu"] if CPU in available else ["cuda"]
    options = [{"device_id": 1}, {}][: len(wanted)]
    model = s2s_runtime.load(TINY, providers=wanted, provider_options=options, allow_fallback=True)
    assert asked[: len(expected)] == expected
    assert model.provider == CPU
    assert model.generate(["abc"], beam_size=2)[0].ids
    if broken or available != [CPU]:
        with pytest.raises(ProviderError):
            s2s_runtime.load(TINY, providers=wanted)


@pytest.fixture
def packing(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each session that is opened, whether onnxruntime lays weights out once more."""
    packs: list[bool] = []
    make = open_session_module._session_options

    def noting(*given: Any) -> Any:
        options = make(*given)
        try:
            packs.append(options.get_session_config_entry("session.disable_prepacking") != "1")
        except RuntimeError:  # nothing was said
            packs.append(True)
        return options

    monkeypatch.setattr(open_session_module, "_session_options", noting)
    return packs


def test_low_memory_changes_no_token(packing: list[bool]) -> None:
    """No graph of the model lays weights out once more, whatever it is asked; by default all do."""
    searches: list[dict[str, Any]] = [{}, {"beam_size": 3}, {"engine": "steps"}, {"return_scores": True}]
    found = []
    for low_memory in (False, True):
        model = s2s_runtime.load(TINY, low_memory=low_memory)
        found.append([result.ids for options in searches for result in model.generate(["abc", "d"], **options)])
        assert set(packing) == {not low_memory}
        packing.clear()
    assert found[0] == found[1]


def test_weights_of_8_bits_keep_their_layout(packing: list[bool]) -> None:
    """Onnxruntime rounds otherwise where it multiplies by them as they lie."""
    with pytest.raises(BundleError):
        open_session(b"MatMulNBits", SessionSettings(low_memory=True), "graph")
    assert set(packing) == {True}


@pytest.mark.parametrize("module", [cli, bench_cli, evaluate_cli])
def test_commands_take_low_memory(packing: list[bool], module: ModuleType, tmp_path: Path) -> None:
    """--low-memory reaches the sessions."""
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("abc\tABC\n", encoding="utf-8")
    given = {cli: ["abc"], bench_cli: ["--batch-size", "1", "--beam-size", "1", "--repeats", "1"]}
    found = CliRunner().invoke(module.app, [str(TINY), *given.get(module, [str(pairs)]), "--low-memory"])
    assert (found.exit_code, set(packing)) == (0, {False})


@pytest.mark.parametrize("module", [cli, bench_cli])
def test_commands_say_that_they_fell_back(without_cuda: Callable[..., Asked], module: ModuleType) -> None:
    """--allow-fallback: one warning of it on stderr; without it one error."""
    without_cuda([CUDA, CPU])
    texts = ["abc"] if module is cli else ["--batch-size", "1", "--beam-size", "1", "--repeats", "1"]
    found = CliRunner().invoke(module.app, [str(TINY), *texts, "--provider", "cuda", "--allow-fallback"])
    told = [line for line in found.stderr.splitlines() if "other programs used" not in line]  # of a busy machine
    assert (found.exit_code, told) == (0, [f"warning: --provider cuda was not obtained; {CPU} decodes"])
    refused = CliRunner().invoke(module.app, [str(TINY), *texts, "--provider", "cuda"])
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert refused.stderr.startswith("error: providers: asked for CUDAExecutionProvider but onnxruntime fell back")


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
            {"providers": ["cuda"], "provider_options": [{"enable_cuda_graph": "1"}]},
            "provider_options: enable_cuda_graph: captured graphs need .* leave it out",
        ),
        (
            {"providers": ["cpu"], "provider_options": [{}, {}]},
            r"provider_options: expected one mapping per provider \(1\)",
        ),
        ({"intra_op_threads": 0}, r"intra_op_threads: expected an integer from 1 to 1024, or None, got 0"),
        ({"low_memory": 1}, r"low_memory: expected True or False, got 1"),
        ({"allow_fallback": "no"}, r"allow_fallback: expected True or False, got 'no'"),
        ({"shared_threads": 1}, r"shared_threads: expected True or False, got 1"),
        ({"shared_threads": True, "spinning": True}, r"spinning: expected None with shared_threads, got True"),
        (
            {"shared_threads": True, "intra_op_threads": 2},
            r"intra_op_threads: expected None with shared_threads, got 2",
        ),
        ({"spinning": 1}, r"spinning: expected True, False or None, got 1"),
        ({"inter_op_threads": "2"}, r"inter_op_threads: expected an integer from 1 to 1024, or None, got '2'"),
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


@pytest.mark.skipif(
    hasattr(sessions.import_onnxruntime(), "set_global_thread_pool_sizes"), reason="this onnxruntime can share threads"
)
def test_an_onnxruntime_that_cannot_share_threads() -> None:
    """Versions before 1.23, from Python: said, with the version that is needed."""
    with pytest.raises(s2s_runtime.OptionError, match=r"shared_threads: needs onnxruntime 1.23 or newer, got 1\."):
        s2s_runtime.load(TINY, shared_threads=True)


@pytest.mark.skipif(
    not hasattr(sessions.import_onnxruntime(), "set_global_thread_pool_sizes"), reason="onnxruntime 1.23 brought it"
)
def test_models_may_share_threads() -> None:
    """Where the application made shared threads, models add none of their own; where the two disagree, an error."""
    program = f"""
import os, onnxruntime, s2s_runtime
def load(**arguments):
    try:
        model = s2s_runtime.load({str(TINY)!r}, **arguments)
    except s2s_runtime.OptionError as error:
        return print(error)
    return [result.ids for beams in (1, 2) for result in model.generate(["abcde"] * 40, beam_size=beams)]
own = load()
load(shared_threads=True)
onnxruntime.set_global_thread_pool_sizes(3, 1)
before = len(os.listdir("/proc/self/task"))
print(load(shared_threads=True) == load(shared_threads=True) == own, len(os.listdir("/proc/self/task")) - before)
load()
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == [
        "shared_threads: got True, but threads that all sessions share this process has none; make them with "
        "onnxruntime.set_global_thread_pool_sizes",
        "True 0",
        "shared_threads: got False, but threads that all sessions share this process has, made with "
        "onnxruntime.set_global_thread_pool_sizes",
    ]


def test_weights_of_8_bits_need_a_newer_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an old one refuses the operator that multiplies by them, the message says which version has it."""

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("MatMulNBits: nbits_ == 4 was false")

    ort = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(ort, "InferenceSession", refuse)
    for version, said in (
        ("1.20.1", "x: weights of 8 bits need onnxruntime 1.22 or newer, got 1.20.1"),
        ("1.22.0", "x: onnx"),
    ):
        monkeypatch.setattr(ort, "__version__", version)
        with pytest.raises(BundleError, match=f"^{said}"):
            open_session((TINY / "encoder.onnx").read_bytes(), SessionSettings(), "x")


def test_graphs_that_do_not_fit_are_refused() -> None:
    """A file that is no graph, and a graph with other inputs than the manifest says."""
    with pytest.raises(BundleError, match=r"x.onnx: onnxruntime can't load this graph: "):
        open_session(b"no graph", SessionSettings(), "x.onnx")
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
