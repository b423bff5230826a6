"""Reading arrays from the files of `numpy.save`, and by name from those of `numpy.savez`."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2s_runtime.errors import InputError


def read_array(path: Path) -> NDArray[Any]:
    """Return the array of a file that `numpy.save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is no .npy file, damaged, or holds Python objects.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: expected one array, as numpy.save writes it: {error}") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: expected one array (numpy.save), got several by name")
    return array


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of some names, each with its rows first.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is no .npz file, damaged, or holds other names or Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: expected arrays by name (numpy.savez), got one array")
            if set(file.files) != set(names):
                wanted, held = (", ".join(sorted(some)) or "none" for some in (names, file.files))
                raise InputError(f"{path}: expected the arrays {wanted}, got {held}")
            arrays = {name: file[name] for name in names}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: expected arrays by name, as numpy.savez writes them: {error}") from error
    for name, array in arrays.items():
        if array.ndim == 0:
            raise InputError(f"{path}: {name}: expected rows, got one number")
    return arrays
