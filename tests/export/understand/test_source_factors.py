"""Factors of a vocabulary beside the inputs of a model that others built."""

import keras
import pytest
from keras import layers

from s2s_export.errors import ExportError
from s2s_export.options import ExportOptions
from s2s_export.understand.source_terms import factors_of, further_sources
from s2s_runtime.vocabulary.factors import Factor, FactoredVocabulary
from s2s_runtime.vocabulary.vocabulary import Vocabulary
from s2s_training.splitting.splitter import SplitModel, split

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def parts() -> SplitModel:
    """A model that reads words, their parts of speech, and a vector of the speaker."""
    words, tags = (keras.Input((None,), dtype="int32", name=name) for name in ("words", "tags"))
    speaker, target = keras.Input((3,), name="speaker"), keras.Input((None,), dtype="int32", name="target")
    read = layers.Concatenate()(
        [layers.Embedding(9, 4, mask_zero=True)(words), layers.Embedding(5, 2, mask_zero=True)(tags)]
    )
    state = layers.Add()([layers.GRU(4)(read), layers.Dense(4)(speaker)])
    output = layers.GRU(4, return_sequences=True)(layers.Embedding(6, 4)(target), initial_state=state)
    made = keras.Model([words, tags, speaker, target], layers.Dense(6, activation="softmax")(output))
    return split(made)


def told(name: str = "tags", symbols: int = 5) -> Vocabulary:
    factor = Factor("symbol", tuple("abcdefgh"[:symbols]), name=name)
    return FactoredVocabulary("symbol", tuple("123456789"), factors=(factor,))


def test_a_factor_has_the_symbols_that_it_is_told(parts: SplitModel) -> None:
    """An embedding may know more ids than there are symbols."""
    for count in (5, 3):
        tags, speaker = further_sources(parts, told(symbols=count), ExportOptions(), {})
        assert (tags.name, tags.kind, tags.size, tags.aligned) == ("tags", "ids", count, True)
        assert (speaker.name, speaker.kind) == ("speaker", "vector")
    assert further_sources(parts, None, ExportOptions(), {})[0].size == 5
    assert factors_of(Vocabulary("char", ("a",))) == {}


@pytest.mark.parametrize(
    ("vocabulary", "message"),
    [
        (told(name="pos"), "a factor 'pos', but beside 'words' the model reads 'tags', 'speaker': name the factor as"),
        (told(symbols=6), "factor 'tags': the vocabulary has 6 symbols but the model reads 5"),
        (told(name="speaker"), r"factor 'speaker': expected an input of ids .*, got shape \(None, 3\)"),
    ],
)
def test_a_factor_that_the_model_does_not_read_is_refused(
    parts: SplitModel, vocabulary: Vocabulary, message: str
) -> None:
    """What was expected is said."""
    with pytest.raises(ExportError, match=message):
        further_sources(parts, vocabulary, ExportOptions(), {})
