"""The models of a server by name: loading them, loading them anew, and decoding with whichever is the newest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from s2s_runtime.array_types import Floats
from s2s_runtime.batch_decoder import QueueFullError
from s2s_runtime.bundle.manifest import Manifest
from s2s_runtime.bundle.manifest_file import read_manifest
from s2s_runtime.bundle.storage import MANIFEST
from s2s_runtime.decoding.workers import unasked_workers
from s2s_runtime.errors import InputError, S2SError, naming
from s2s_runtime.files.json_fields import digest
from s2s_runtime.lazy_modules import logger_of
from s2s_runtime.loading import load
from s2s_runtime.model import Model
from s2s_runtime.ort.onnx_model import OnnxStepModel
from s2s_runtime.ort.thread_rule import usable_cores
from s2s_runtime.results import Result
from s2s_runtime.serving.batching import Batcher
from s2s_runtime.serving.inference import input_specs, output_specs
from s2s_runtime.serving.metrics import Metrics
from s2s_runtime.serving.options import ServingOptions
from s2s_runtime.serving.request_options import ChosenOptions, OptionReader

logger = logger_of(__name__)

_VERSION_DIGITS: Final = 12
Defaults = Callable[[Manifest], Mapping[str, Any]]


class LoadedModel:
    """A bundle as it was when it was loaded, with its batcher. It is closed once it was replaced and nobody uses it.

    Args:
        name: name of the model.
        model: what was loaded.
        reader: reads the options of its requests.
        lanes: batches decoded at the same time.
        metrics: where sizes of batches are noted.
    """

    def __init__(self, name: str, model: Model, reader: OptionReader, lanes: int, metrics: Metrics) -> None:
        self.model = model
        self.options = reader
        self.manifest = model.manifest
        self.inputs, self.outputs = input_specs(model.manifest), output_specs(model.manifest)
        self.version = digest(model.manifest.to_dict())[:_VERSION_DIGITS]
        self.users = 0
        self.replaced = False
        self._batcher = Batcher(model, lanes, metrics.batch_note(name))
        self._direct = ThreadPoolExecutor(lanes, thread_name_prefix="s2s-direct")

    async def decode(
        self, sources: Sequence[Any], chosen: ChosenOptions, name: Callable[[int], str]
    ) -> Sequence[Result]:
        """Return the results of sources, each of which `name` names in errors."""
        if chosen.together:
            return await self._batcher.decode(sources, chosen, name)

        def generate(cancel: threading.Event) -> list[Result]:
            with naming(name):
                return self.model.generate(sources, options=chosen.options, cancel=cancel)

        results: Sequence[Result] = await self._in_thread(generate)
        return results

    async def predict(self, inputs: Any, steps: int | None) -> Floats | Mapping[str, Floats]:
        """Return the values that the model predicts, float32 (rows, steps, ...); of several outputs each by name."""
        values: Floats | Mapping[str, Floats] = await self._in_thread(
            lambda cancel: self.model.predict(inputs, steps=steps, cancel=cancel)
        )
        return values

    async def close(self) -> None:
        """Let go of the threads and the graphs, once what they do is done."""
        await asyncio.to_thread(self._batcher.close)
        await asyncio.to_thread(self._direct.shutdown)
        self.model.close()

    async def _in_thread(self, call: Callable[[threading.Event], Any]) -> Any:
        cancel = threading.Event()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._direct, call, cancel)
        finally:
            cancel.set()  # no effect on a call that has ended


class ServedModel:
    """A model of a server, by its name.

    Args:
        name: name of the model.
        path: where its bundle lies.
        options: how it is served.
        defaults: returns decoding options of requests that don't give them, by the manifest that says what symbols are.
        metrics: figures of the server.
    """

    def __init__(self, name: str, path: Path, options: ServingOptions, defaults: Defaults, metrics: Metrics) -> None:
        self.name, self.path = name, path
        self._options, self._defaults, self._metrics = options, defaults, metrics
        self._current: LoadedModel | None = None
        self._preloaded: tuple[object, tuple[Model, int]] | None = None  # the state of the file, and what `_open` gave
        self._waiting = 0
        self._seen: object = None  # the state of the file that was loaded
        self._failure = ""  # of the last try to load anew
        self._closing: set[asyncio.Future[None]] = set()  # the loop holds tasks only weakly
        self._loading = asyncio.Lock()
        metrics.queue.labels(name).set_function(lambda: self._waiting)

    @property
    def current(self) -> LoadedModel:
        """The newest bundle that was loaded; `load` has to have succeeded once."""
        if self._current is None:
            raise RuntimeError(f"{self.name}: not loaded")
        return self._current

    @property
    def is_ready(self) -> bool:
        """Whether it can decode."""
        return self._current is not None

    def preload(self) -> None:
        """Load the bundle and its graphs for the first `load` in this process, or in those forked from it.

        Raises:
            S2SError: it can't be loaded.
        """
        self._preloaded = self._state(), self._open()
        steps = self._preloaded[1][0].step_model
        if isinstance(steps, OnnxStepModel):  # others have one graph, or prompts before it
            steps.open_graphs()

    async def load(self) -> None:
        """Load the bundle, and let the one before go once its requests are answered.

        Raises:
            S2SError: it can't be loaded; the one before stays.
        """
        async with self._loading:
            seen = self._state()
            try:
                preloaded, self._preloaded = self._preloaded, None
                if preloaded is not None and seen in (None, preloaded[0]):  # gone, or as it was: not a newer one
                    model, lanes = preloaded[1]
                else:
                    model, lanes = await asyncio.to_thread(self._open)
                reader = OptionReader(model.manifest, self._defaults(model.manifest), self._options)
            except S2SError:
                self._metrics.loads.labels(self.name, "failed").inc()
                raise
            loaded = LoadedModel(self.name, model, reader, lanes, self._metrics)
            before, self._current = self._current, loaded
            self._seen, self._failure = seen, ""
            self._metrics.loads.labels(self.name, "done").inc()
            fields = {"model": self.name, "version": loaded.version, "path": str(self.path), "workers": lanes}
            logger.info("loaded", extra={"fields": fields})
        if before is not None:
            before.replaced = True
            if not before.users:
                await before.close()

    async def load_anew(self, *, always: bool) -> None:
        """Load the bundle again where it was replaced, or always; where that fails, the one before goes on.

        What fails is tried again with each call, as a bundle may be half copied, and said once.
        """
        state = self._state()
        if not always and state in (None, self._seen):  # None: it is just being replaced
            return
        try:
            await self.load()
        except S2SError as error:
            if always or str(error) != self._failure:
                fields = {"model": self.name, "error": str(error), "serving": self.current.version}
                logger.error("not loaded", extra={"fields": fields})
            self._failure = str(error)

    @contextmanager
    def used(self, texts: int) -> Iterator[LoadedModel]:
        """Use the newest bundle for a request with so many texts.

        Raises:
            QueueFullError: too many wait.
            InputError: the request has more texts than may ever wait.
        """
        most = self._options.queue
        if texts > most:
            raise InputError(f"expected at most {most} texts in a request, got {texts}; send several requests")
        if self._waiting + texts > most:
            raise QueueFullError(f"{self._waiting} texts wait for {self.name} already; try again later")
        loaded = self.current
        loaded.users += 1
        self._waiting += texts
        try:
            yield loaded
        finally:
            self._waiting -= texts
            loaded.users -= 1
            if loaded.replaced and not loaded.users:
                self._closing.add(task := asyncio.ensure_future(loaded.close()))
                task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close what is loaded."""
        if self._current is not None:
            await self._current.close()
            self._current = None

    def _open(self) -> tuple[Model, int]:
        """Load the bundle; return it with the number of batches that it decodes at the same time."""
        options, manifest = self._options, read_manifest(self.path, verify_hashes=False)
        lanes, threads = options.workers, options.threads
        if lanes is None:
            lanes = unasked_workers(manifest) if options.provider is None else 1
        if threads is None and lanes > 1:
            threads = max(1, usable_cores() // lanes)
        chosen: dict[str, Any] = {name: getattr(options, name) for name in ("allow_fallback", "low_memory")}
        return load(self.path, providers=options.provider, intra_op_threads=threads, workers=1, **chosen), lanes

    def _state(self) -> object:
        """Return what differs once the bundle was replaced; None while there is none."""
        try:
            found = (self.path / MANIFEST if self.path.is_dir() else self.path).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
