"""What a damaged HDF5 file does to the library that reads it, it does to another process."""

from pathlib import Path

import h5py
import pytest

from s2s_export import ModelFileError
from s2s_export.keras_files import checks_apart

pytestmark = pytest.mark.tensorflow


def written(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("parts", data=range(100), chunks=(10,))
    return path


def _checked_often(path: Path) -> None:
    for _ in range(1000):
        checks_apart.check_hdf5_apart(path)


def test_a_process_that_ended_is_started_anew(tmp_path: Path) -> None:
    """Whatever ended it between two files, the next one is read."""
    path = written(tmp_path / "a.h5")
    checks_apart.check_hdf5_apart(path)
    process = checks_apart._checker.process
    assert process is not None
    process.kill()
    process.wait()
    checks_apart.check_hdf5_apart(path)


def test_a_file_over_which_the_process_ends_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the file and says what to do, and the next file is read."""
    path = written(tmp_path / "a.h5")
    checks_apart.check_hdf5_apart(path)
    with monkeypatch.context() as patched:
        patched.setattr(checks_apart, "_PATIENCE", 0.0)  # it is killed at once, while it reads
        with pytest.raises(ModelFileError, match=r"a\.h5: it is damaged: .* copy or download it again"):
            _checked_often(path)
    checks_apart.check_hdf5_apart(path)


def test_what_hdf5_says_of_a_file_is_one_line(tmp_path: Path) -> None:
    """A file that was cut off is damaged, and named."""
    path = written(tmp_path / "a.h5")
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ModelFileError, match=r"^\S*a\.h5: HDF5 can't read it, it is damaged: [^\n]*$"):
        checks_apart.check_hdf5_apart(path)
