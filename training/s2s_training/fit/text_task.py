"""Learning to write texts: see `s2s_training.fit.task`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from s2s_runtime.error_rates import error_rates
from s2s_training.config.fit import FitConfig
from s2s_training.config.model import ModelConfig
from s2s_training.config.training import TrainingConfig
from s2s_training.data.arrays import BucketedPairs, Layout, encode_pairs
from s2s_training.data.corpus import Example, write_tsv
from s2s_training.data.datasets import load_corpus
from s2s_training.data.fitting_pairs import that_fit, with_frames
from s2s_training.data.sentencepiece_training import piece_models
from s2s_training.data.tf_datasets import Batches, EpochOrder, make_dataset
from s2s_training.data.vocabulary_builder import build_vocabulary, drop_long
from s2s_training.fit.compiling import compile_model, is_for_xla, monitored, reduction
from s2s_training.fit.greedy_decoder import GreedyDecoder
from s2s_training.fit.precision import training_twin
from s2s_training.fit.r_drop import TwiceThroughModel
from s2s_training.models.encoder_decoder import build_model
from s2s_training.models.one_pass import up_to_logits
from s2s_training.runs.data_digests import Digests, digests_of_pairs, require_same_data, write_digests
from s2s_training.runs.run_folder import RunFolder
from s2s_training.stages import Stages, unseen

logger = logging.getLogger(__name__)


class TextTask:
    """The texts of a run and its untrained model.

    Args:
        config: of the run. Its weights follow Keras's global random seed, which has to be set before.
        stages: is told how far it is.

    Attributes:
        corpus: training pairs within the length limits, and held-out pairs.
        monitored: the figure that tells the best epoch.
        vocabulary: of both sides.
        layout: how pairs become arrays.

    Raises:
        DataNotFoundError, DataError, MissingExtraError: the data can't be read.
    """

    def __init__(self, config: TrainingConfig, stages: Stages = unseen) -> None:
        corpus = load_corpus(config.data, config.fit.seed, stages)
        stages("cutting texts")
        pieces = piece_models(corpus.train, config.data)
        self.corpus = drop_long(corpus, config.data, pieces)
        parts = (len(self.corpus.train), len(self.corpus.valid), len(self.corpus.test))
        logger.info("%d pairs to train on, %d for validation, %d for testing", *parts)
        stages("building vocabularies")
        self.vocabulary = build_vocabulary(self.corpus, config, pieces)
        described = with_frames(config.model, self.corpus, self.vocabulary)
        fitting = that_fit(self.corpus, self.vocabulary, described)
        self.layout = Layout.of(self.vocabulary, described)
        self._build(described, config.fit, stages, len(fitting.train) // config.fit.batch_size * config.fit.epochs)
        self._readings = self.corpus.readings
        stages("turning texts into numbers")
        self._pairs: Batches = self.bucketed(fitting.train, config.fit)
        self._valid: Batches = self.bucketed(fitting.valid, config.fit)

    def _build(self, described: ModelConfig, config: FitConfig, stages: Stages, steps: int = 0) -> None:
        """Build the model for the layout, and compile it for about so many steps; 0 = nobody knows."""
        stages("building the model")
        self._plain = build_model(described, self.layout)
        self.model = self._plain if self.layout.frames is None else up_to_logits(self._plain)
        self.model = training_twin(self.model, config)
        if config.r_drop:
            self.model = TwiceThroughModel(self.model, config.r_drop, reduction(self.layout))
        xla = is_for_xla(described, config, self.layout, steps)
        compile_model(self.model, config, self.layout, xla=xla)
        sizes = (self.layout.source_size, self.layout.target_size, f"{self.model.count_params():,}")
        logger.info("%d source and %d target symbols, %s parameters", *sizes)
        self.monitored = monitored(config, self.layout)
        self._config = config
        self._decoder: GreedyDecoder | None = None

    def bucketed(self, examples: Sequence[Example], config: FitConfig) -> BucketedPairs:
        """Return examples as padded arrays in buckets of similar length."""
        pairs = encode_pairs(examples, self.vocabulary, self.layout)
        return BucketedPairs(pairs, self.layout, config.buckets, config.batch_size)

    @property
    def steps(self) -> int:
        """The number of batches in an epoch."""
        return self._pairs.steps

    def training(self, order: EpochOrder) -> tf.data.Dataset:
        """Return the batches of an epoch."""
        return make_dataset(self._pairs, self.layout, order)

    def validation(self) -> tf.data.Dataset:
        """Return the batches of the validation part."""
        return make_dataset(self._valid, self.layout)

    def validation_error(self) -> float | None:
        """Return the share of validation sources that are decoded wrong; None where none are to be decoded."""
        most = self._config.decode_valid
        if self._config.select != "error" and not most:
            return None
        return self._error_rates(self._validation_examples(most or None))["plain"]["sequence_error_rate"]

    def _validation_examples(self, most: int | None) -> list[Example]:
        """Return the first sources to be decoded of the validation part, each with all its targets; None = all."""
        return self.corpus.merged(self.corpus.valid)[:most]

    def _held_out(self, most: int | None = None) -> Iterable[Example]:
        """Return the first examples to score; None = all."""
        return self.corpus.held_out()[:most]

    @cached_property
    def _digests(self) -> Digests:
        """What the data and the symbols are known by."""
        return digests_of_pairs(self.corpus, self.vocabulary)

    def check(self, folder: RunFolder) -> None:
        """Check that data and symbols are those with which the run in the folder began; see `Task.check`."""
        require_same_data(folder, self._digests)

    def write(self, folder: RunFolder) -> None:
        """Write the digests of the data, then `vocab.json` and `test.tsv`."""
        write_digests(folder, self._digests)
        self.vocabulary.write(folder.vocabulary)
        write_tsv(folder.held_out, self._held_out())

    def errors(self) -> dict[str, dict[str, Any]]:
        """Return the error rates of held-out sources, as they are and under each further reading of the corpus."""
        examples = list(self._held_out(self._config.score))
        if not examples:
            return {}
        logger.info("decoding %d held-out sources", len(examples))
        return self._error_rates(examples)

    def trained(self) -> keras.Model:
        """Return a float32 model with the trained weights; loading its file needs no model class of this package."""
        if self._plain is not self.model:
            self._plain.set_weights(self.model.get_weights())
        return keras.Model(self._plain.input, self._plain.output, name=self._plain.name)

    def _error_rates(self, examples: Sequence[Example]) -> dict[str, dict[str, Any]]:
        if self._decoder is None:  # traced once
            self._decoder = GreedyDecoder(self.model, self.layout, self.vocabulary)
        target = self.vocabulary.target
        decoded = [target.split_whole(text) for text in self._decoder.decode([example.source for example in examples])]
        references = [[target.split_whole(text) for text in example.targets] for example in examples]
        rates = {"plain": error_rates(decoded, references)}
        for name, reading in self._readings.items():
            read = [[reading(tokens) for tokens in right] for right in references]
            rates[name] = error_rates([reading(tokens) for tokens in decoded], read)
        return {name: figures.to_dict() for name, figures in rates.items()}
