"""Imports TensorFlow without the lines that its native code writes to the terminal."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile


def import_quietly() -> None:
    """Import TensorFlow and Keras and start their runtime, keeping native messages off standard error.

    They can't be switched off otherwise: some are written before TensorFlow's logging is set up. If the import fails,
    what was held back is shown. Keras is told to use TensorFlow, whatever the user's configuration says.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if sys.stderr is None:  # closed: nothing can be written to it
        _import()
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            _import()
        except ImportError:
            held_back.seek(0)
            os.write(terminal, held_back.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _import() -> None:
    importlib.import_module("keras")
    logging.getLogger("tensorflow").setLevel(logging.CRITICAL)  # it logs what Ctrl-C left unused; errors are raised
    importlib.import_module("tensorflow").constant(0)  # the first operation starts the devices
