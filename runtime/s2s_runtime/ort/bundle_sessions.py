"""The sessions of a bundle's graphs, each opened when it is first needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.specs import tensor_name
from s2s_runtime.bundle.storage import BundleFiles
from s2s_runtime.errors import BundleError, ClosedModelError
from s2s_runtime.forks import forked_alone, watch_forks
from s2s_runtime.ort.open_session import open_session
from s2s_runtime.ort.sessions import CPU, SessionSettings
from s2s_runtime.search.step_model import BeamSteps


class BundleSessions(Mapping[str, Any]):
    """The sessions of a bundle by graph name, each opened when it is first asked for.

    Which graphs are needed depends on the options of each call: those that decode greedily alone never pay for the
    graph of beam search. Safe to share between threads. A forked child opens its own: what lies in onnxruntime's
    sessions (threads that aren't there, locks that someone held) is left alone there. Where a session has no threads
    and nothing was under way in the parent, the child goes on with it, in memory that the two share.

    Args:
        files: files of the bundle.
        manifest: manifest of the bundle.
        settings: how sessions are opened.
        ready: sessions that are open already.
    """

    def __init__(
        self, files: BundleFiles, manifest: Manifest, settings: SessionSettings, ready: Mapping[str, Any]
    ) -> None:
        self._files = files
        self._manifest = manifest
        self._settings = settings
        self._promised = promised(manifest)
        self._open: dict[str, Any] = {}
        self._opening = Lock()
        for name, session in ready.items():
            self._check_names(f"sessions[{name!r}]", name, session)
            self._open[name] = session
        self._given = frozenset(ready)
        self._forked = False
        watch_forks(self)

    def after_fork(self) -> None:
        """Let the parent's sessions lie, but for those that nothing is missing of."""
        settings = self._settings
        own_threads = settings.intra_op_threads != 1 or settings.inter_op_threads is not None or settings.shared_threads
        goes_on = forked_alone() and not own_threads and settings.requested == (CPU,)
        self._open = {name: self._open[name] for name in self._open if goes_on and name not in self._given}
        self._opening = Lock()
        self._forked = True

    def __getitem__(self, name: str) -> Any:
        """Return the session of a graph.

        Raises:
            KeyError: the bundle has no such graph.
            MissingExtraError, ProviderError, BundleError: the graph can't be opened; see `open_session`.
        """
        if name not in self._open:
            with self._opening:
                if name not in self._open:
                    self._open[name] = self._opened(name)
        return self._open[name]

    def __contains__(self, name: object) -> bool:
        """Return whether the bundle has such a graph, without opening it."""
        return name in self._manifest.graphs

    def __iter__(self) -> Iterator[str]:
        return iter(self._manifest.graphs)

    def __len__(self) -> int:
        return len(self._manifest.graphs)

    def _opened(self, name: str) -> Any:
        if self._forked:
            self._refuse_forked(name)
        file, weights = self._manifest.graphs[name].file, self._manifest.weights
        path = f"{self._files.name}/{file}"
        constants = {} if weights is None else {weights.file: self._files.read(weights.file)}
        session = open_session(self._files.read(file), self._settings, path, constants)
        self._check_names(path, name, session)
        return session

    def _refuse_forked(self, name: str) -> None:
        obstacles = {
            "was given to load": name in self._given,
            "runs on a device": self._settings.device[0] != "cpu",
            "uses the threads that all models share": self._settings.shared_threads,
        }
        what = next((words for words, is_so in obstacles.items() if is_so), None)
        if what is not None:
            raise ClosedModelError(
                f"{name}: its session {what}, and this process was forked afterwards, where that can't go on; load the "
                "bundle in the process that uses it, or start processes by spawn or forkserver"
            )

    def _check_names(self, path: str, name: str, session: Any) -> None:
        inputs, outputs = self._promised[name]
        found_inputs = [tensor.name for tensor in session.get_inputs()]
        found_outputs = [tensor.name for tensor in session.get_outputs()]
        missing = [name for name in outputs if name not in found_outputs]
        if sorted(found_inputs) != sorted(inputs) or missing:
            raise BundleError(
                f"{path}: the graph doesn't fit the manifest: expected inputs {', '.join(inputs)} and outputs "
                f"{', '.join(outputs)}, got {', '.join(found_inputs)} and {', '.join(found_outputs)}; "
                f"export the model again"
            )


def promised(manifest: Manifest) -> dict[str, tuple[list[str], list[str]]]:
    """Return the names of inputs and outputs of each graph, as `s2s_runtime.bundle.manifest` promises them."""
    states, memory = ([tensor.name for tensor in tensors] for tensors in (manifest.states, manifest.memory))
    following = [f"next_{name}" for name in states]
    fed = {"token": ["token"], "value": ["value"]}.get(manifest.target.feedback, [])
    given = "output" if manifest.target.feedback == "value" else "logits"
    further = [tensor_name(output.target, place) for place, output in enumerate(manifest.outputs, 1)]
    read = "value" if manifest.source.kind == "values" else "token"
    chosen = ["steps", "mask", "goes_on", "least", "live", *fed, *states, *memory]
    return {
        "step": ([read, *states], [given, *following]),
        "model": ([tensor.name for tensor in manifest.source.inputs], [given, *further]),
        "encoder": ([tensor.name for tensor in manifest.source.inputs], [*states, *memory]),
        "decoder": ([*fed, *states, *memory], [given, *following, *(["attention"] if manifest.attention else [])]),
        "select_state": (["rows", *states], following),
        "select_memory": (["rows", *memory], [f"next_{name}" for name in memory]),
        "greedy": (chosen, ["tokens", *following]),
        "greedy_scores": (chosen, ["tokens", "token_scores", *following]),
        "sample": (["temperature", "numbers", *chosen], ["tokens", "token_scores", *following]),
        "sample_top": (
            ["temperature", "numbers", "candidates", "mass", *chosen],
            ["tokens", "token_scores", *following],
        ),
        "beam": (
            ["steps", "width", "examined", "mask", "ending", "scores", *fed, *states, *memory],
            [*BeamSteps._fields, "next_scores", *following],
        ),
    }
