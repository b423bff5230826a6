"""Keeps the lines that TensorFlow's native code writes to standard error off the user's terminal, or notebook."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Final

from s2s_training.errors import BackendError

# How its log lines look; anything else that is written is somebody's message.
_NATIVE: Final = re.compile(
    rb"(WARNING: All log messages before absl::|[IWE]\d{4} \d\d:?\d\d|To enable the following )"
)

_started_here: Final[list[bool]] = []  # once `import_quietly` was the first to import TensorFlow


def import_quietly(cpu_parts: int = 1) -> None:
    """Import TensorFlow and Keras and start their runtime, keeping native messages off standard error.

    They can't be switched off otherwise: some are written before TensorFlow's logging is set up. If the import fails,
    what was held back is shown. Keras is told to use TensorFlow, whatever the user's configuration says.

    Args:
        cpu_parts: devices that the CPU counts as, where there is no GPU; no effect once TensorFlow has run something.

    Raises:
        BackendError: this program has imported Keras with another backend.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        _started_here.append(True)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with _held():
        backend = importlib.import_module("keras").backend.backend()
        if backend != "tensorflow":  # the program imported Keras before, with another
            raise BackendError(
                f"Keras runs on {backend} in this program, and models are read and converted with TensorFlow's; import "
                "s2s_training or s2s_export before keras, or set KERAS_BACKEND=tensorflow"
            )
        if _started_here:  # else somebody else's messages would be lost, too
            # it logs what Ctrl-C left unused; errors are raised
            logging.getLogger("tensorflow").setLevel(logging.CRITICAL)
        tensorflow = importlib.import_module("tensorflow")
        if cpu_parts > 1 and not tensorflow.config.list_physical_devices("GPU"):
            with suppress(RuntimeError):  # devices were started before
                [cpu] = tensorflow.config.list_physical_devices("CPU")
                parts = [tensorflow.config.LogicalDeviceConfiguration() for _ in range(cpu_parts)]
                tensorflow.config.set_logical_device_configuration(cpu, parts)
        tensorflow.constant(0)  # the first operation starts the devices


def native_messages_held() -> AbstractContextManager[None]:
    """Keep TensorFlow's log lines off standard error while a block runs.

    Where `import_quietly` started TensorFlow it writes none, and nothing is held back: a command shows its progress
    there.
    """
    return nullcontext() if _started_here else _held()


@contextmanager
def _held() -> Iterator[None]:
    """Hold back what is written to standard error while the block runs.

    When it ends, everything but TensorFlow's log lines is passed on; where it fails, those are, too.
    """
    if sys.stderr is None:  # closed: nothing can be written to it
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        hidden = _NATIVE
        try:
            yield
        except Exception:
            hidden = re.compile(rb"(?!)")  # matches nothing
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            held.seek(0)
            for line in held:
                if not hidden.match(line):
                    os.write(terminal, line)
            os.close(terminal)
