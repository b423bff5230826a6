"""Learning to write texts of which only a part is in memory: see `s2s_training.streaming`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cached_property

from s2s_runtime.spelling import counted
from s2s_runtime.vocabulary.vocabulary_file import VocabularyFile
from s2s_training.config.training import TrainingConfig
from s2s_training.data.arrays import Layout
from s2s_training.data.corpus import Example
from s2s_training.fit.text_task import TextTask
from s2s_training.runs.data_digests import Digest, Digests
from s2s_training.runs.run_folder import RunFolder
from s2s_training.stages import Stages, unseen
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
        self._texts = StreamedTexts(config, folder.pairs, stages)
        self.vocabulary: VocabularyFile = self._texts.vocabulary
        self.layout = Layout.of(self.vocabulary, config.model)
        self._build(config.model, config.fit, stages)
        self._readings = {}
        stages("counting lengths")
        train, valid = (self._texts.batches(part, self.layout, config.fit) for part in ("train", "valid"))
        self._pairs, self._valid = train, valid
        blocks = counted(train.blocks, "block")
        logger.info("%d pairs to train on, in %s; %d for validation", train.pairs, blocks, valid.pairs)

    def _validation_examples(self, most: int | None) -> list[Example]:
        return list(self._texts.merged("valid", most))

    def _held_out(self, most: int | None = None) -> Iterable[Example]:
        return self._texts.held_out(most)

    @cached_property
    def _digests(self) -> Digests:
        return {"files": self._texts.files, "symbols": Digest.of([self.vocabulary.to_dict()]).to_dict()}
