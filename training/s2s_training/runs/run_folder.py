"""The folder of a run: what stands in it, and when it may be written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2s_runtime.files.atomic_write import clear_leftovers, replacing
from s2s_runtime.files.json_fields import read_json, write_json
from s2s_training.config.toml_file import read_config, write_config
from s2s_training.config.training import TrainingConfig
from s2s_training.errors import RunFolderError

if TYPE_CHECKING:
    import keras  # heavy: the folder is looked at before anything is loaded

RESUMABLE = frozenset({"max_minutes", "tensorboard", "backup_steps"})  # options that may differ when a run is resumed
FILES_READ = ("data", "target_file", "valid_data", "test_data", "source_model", "target_model")  # options of `[data]`

IDS = ("train.ids", "valid.ids", "test.ids")  # of a text, while it is trained on
# All that a run writes: the one list of what may be removed again, with what a kill left of it. People keep other
# things in the same folder, and in a `backup` of their own.
WRITTEN = tuple(
    pattern
    for name in (
        *("config.toml", "vocab.json", "test.tsv", "windows.npz", "history.json", "loss.png", "summary.json"),
        *("model.keras", "best.weights.h5", "data-digests.json"),
        *("test.txt", *IDS),
    )
    for pattern in (name, f"tmp-{name}", f"{name}.tmp", f"{name}.tmp-*")  # the last of version 0.1.0
)
EVENTS = ("tensorboard/train/events.out.tfevents.*", "tensorboard/validation/events.out.tfevents.*")
BACKUP = ("backup/epoch-*.weights.h5", "backup/epoch-*.npz", "backup/tmp.weights.h5")
PAIRS = tuple(
    f"pairs/{name}"
    for name in (
        *(f"{part}.{file}" for part in ("train", "valid", "test") for file in ("ids", "lengths")),
        *("held-out.sqlite", "held-out.sqlite-journal", "pieces.json", "read.json"),
    )
)
FOLDERS = (  # removed where nothing is left
    *("tensorboard/train", "tensorboard/validation", "tensorboard", "backup", "pairs"),
)


class RunFolder:
    """The paths in a run's folder, and the states that the folder can be in.

    `config.toml` (the whole configuration), `vocab.json`, `test.tsv` (held-out pairs), `test.txt` (held-out lines) or
    `windows.npz` (continuous data), `history.json`, `loss.png`, `tensorboard/` where asked for, `summary.json`
    (results) and `model.keras`, which comes last: a folder that holds it is complete. While training also `backup/`,
    `best.weights.h5`, the ids of a text, `pairs/`, where they aren't all in memory, and `data-digests.json`, which
    tells whether the data is still the same when the run is resumed.

    Args:
        path: the folder, existing or not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.vocabulary = path / "vocab.json"
        self.held_out = path / "test.tsv"
        self.held_out_text = path / "test.txt"
        self.windows = path / "windows.npz"
        self.events = path / "tensorboard"
        self.history = path / "history.json"
        self.plot = path / "loss.png"
        self.summary = path / "summary.json"
        self.model = path / "model.keras"
        self.backup = path / "backup"
        self.pairs = path / "pairs"
        self.best_weights = path / "best.weights.h5"
        self.data_digests = path / "data-digests.json"

    def complete(self) -> bool:
        """Return whether the run ended and its results are there."""
        return self.model.is_file()

    def check(self, config: TrainingConfig, *, resume: bool, force: bool) -> None:
        """Check that a run of this configuration may be written here; change nothing.

        Raises:
            RunFolderError: the folder exists and is neither to be resumed nor replaced, isn't a run's folder, holds a
                run of another configuration, or the run would write over what it reads.
        """
        if not self.path.exists():
            return
        if not (resume or force):
            raise RunFolderError(
                f"{self.path} exists: choose another folder, continue its run with --resume, or replace it with --force"
            )
        if not self.path.is_dir() or (any(self.path.iterdir()) and not self.config.is_file()):
            raise RunFolderError(f"{self.path} is not the folder of a run (no config.toml in it): choose another")
        self._check_files_read(config)
        if resume and self.config.is_file():
            stored = read_config(self.config)
            differences = stored.differences(config, besides=RESUMABLE)
            if differences:
                raise RunFolderError(
                    f"{self.path} was started with other options (then, now): {', '.join(differences)}; give the same "
                    f"ones to resume, or --force to start anew"
                )

    def prepare(self, config: TrainingConfig, *, resume: bool) -> None:
        """Make the folder and write the configuration.

        What an old run wrote is removed unless that run is resumed; nothing else is.
        """
        if not resume:
            self._remove(*WRITTEN, *EVENTS, *BACKUP, *PAIRS)
        self.path.mkdir(parents=True, exist_ok=True)
        write_config(self.config, config)

    def finish(self, model: keras.Model, summary: dict[str, Any]) -> None:
        """Write the results, the model last, and remove what was only needed to resume."""
        write_json(self.summary, summary)
        with replacing(self.model) as beside:
            model.save(beside)
        self._remove(*BACKUP, *PAIRS, *IDS, self.best_weights.name, self.data_digests.name)

    def discard(self) -> None:
        """Remove what a run wrote that can't begin, and the folder where nothing else is in it."""
        self._remove(*WRITTEN, *EVENTS, *BACKUP, *PAIRS)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def read_summary(self) -> dict[str, Any]:
        """Return the results of a complete run."""
        summary: dict[str, Any] = read_json(self.summary)
        return summary

    def _remove(self, *patterns: str) -> None:
        """Remove the files that match, halves of such, and those of a run's folders that are empty then."""
        for pattern in map(Path, patterns):
            clear_leftovers(self.path / pattern.parent, pattern.name)
        for path in [path for pattern in patterns for path in self.path.glob(pattern)]:
            if path.is_symlink() or not path.is_dir():
                path.unlink()
        for folder in (self.path / name for name in FOLDERS):
            if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
                folder.rmdir()

    def _check_files_read(self, config: TrainingConfig) -> None:
        written = {
            path.resolve() for pattern in (*WRITTEN, *EVENTS, *BACKUP, *PAIRS) for path in self.path.glob(pattern)
        }
        start = config.data.start_from
        if start is not None and Path(start).resolve() == self.path.resolve():
            raise RunFolderError(f"start_from: {start} is the folder that the run would write itself: choose another")
        for name in FILES_READ:
            file = getattr(config.data, name)
            if file is not None and Path(file).resolve() in written:
                raise RunFolderError(
                    f"{name}: {file} is a file that the run would write itself: rename it, or choose another folder"
                )
