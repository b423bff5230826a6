"""Learning to write texts of which only a part is in memory: see `s2s_training.streaming`."""

from __future__ import annotations

import logging

from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.config.training import TrainingConfig
from s2s_training.data.arrays import Layout
from s2s_training.data.corpus import Example, write_tsv
from s2s_training.fit.text_task import TextTask
from s2s_training.runs.data_digests import Digest, require_same_data, write_digests
from s2s_training.runs.run_folder import RunFolder
from s2s_training.stages import Stages, unseen
from s2s_training.streaming.pass_over_files import files_digest
from s2s_training.streaming.streamed_texts import StreamedTexts

logger = logging.getLogger(__name__)


class StreamedTextTask(TextTask):
    """The texts of a run, on the disk, and its untrained model.

    Args:
        config: of the run, with a `shuffle_buffer`. Its weights follow Keras's global random seed, which has to be set
            before.
        folder: of the run; pairs are kept in it while it trains.
        stages: is told how far it is.

    Raises:
        DataNotFoundError, DataError, MissingExtraError: the data can't be read.
    """

    def __init__(self, config: TrainingConfig, folder: RunFolder, stages: Stages = unseen) -> None:
        self._data = config.data
        self._texts = StreamedTexts(config, folder.pairs, stages)
        self.vocabulary: VocabularyFile = self._texts.vocabulary
        self.layout = Layout.of(self.vocabulary, config.model)
        self._build(config.model, config.fit, stages)
        self._readings = {}
        stages("counting lengths")
        train, valid = (self._texts.batches(part, self.layout, config.fit) for part in ("train", "valid"))
        self._pairs, self._valid = train, valid
        blocks = "1 block" if train.blocks == 1 else f"{train.blocks} blocks"
        logger.info("%d pairs to train on, in %s; %d for validation", train.pairs, blocks, valid.pairs)

    def _validation_examples(self, most: int | None) -> list[Example]:
        return list(self._texts.merged("valid", most))

    def _held_out(self, most: int) -> list[Example]:
        return list(self._texts.held_out(most))

    def check(self, folder: RunFolder) -> None:
        """Check that files and symbols are those with which the run in the folder began; see `Task.check`."""
        require_same_data(folder, self._digests())

    def write(self, folder: RunFolder) -> None:
        """Write the digests of the data, then `vocab.json` and `test.tsv`."""
        write_digests(folder, self._digests())
        self.vocabulary.write(folder.vocabulary)
        write_tsv(folder.held_out, self._texts.held_out())

    def _digests(self) -> dict[str, dict[str, object]]:
        return {"files": files_digest(self._data), "symbols": Digest.of([self.vocabulary.to_dict()]).to_dict()}
