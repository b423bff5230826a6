import numpy as np
import pytest

from s2s_training.data.arrays import Layout
from s2s_training.data.corpus import Corpus, Example
from s2s_training.data.datasets import default_config, tutorial_config
from s2s_training.data.vocabulary_builder import build_vocabulary

pytestmark = pytest.mark.tensorflow

EXAMPLES = [Example(s, (t,)) for s, t in [("ab", "xyz"), ("bb", "zz"), ("ba ab", "y x"), ("aaa", "z")]]


def one_by_one(model, layout, vocabulary, text):
    """The published procedure: one sentence, one prediction per symbol."""
    target = vocabulary.target
    source = vocabulary.source.encode(text)
    source += [layout.source_padding] * ((layout.source_length or 0) - len(source))
    ids = [target.start_id]
    while len(ids) <= vocabulary.max_length and target.end_id not in ids[1:]:
        inputs = [np.array([source]), np.array([ids])]
        if layout.one_hot:
            inputs = [np.eye(layout.source_size)[inputs[0]], np.eye(layout.target_size)[inputs[1]]]
        named = (target.padding_id, target.unknown_id, target.start_id)
        probabilities = model(inputs).numpy()[0, -1]
        probabilities[[token for token in named if token is not None]] = 0
        ids.append(int(probabilities.argmax()))
    return target.decode(ids)


@pytest.mark.parametrize(
    "config",
    [
        default_config("x").override(units=8, embedding=4, bidirectional=True, attention="dot"),
        tutorial_config("x").override(units=8),
    ],
    ids=["masked", "tutorial"],
)
def test_batches_decode_as_one_by_one(config):
    """Sources of different lengths in one batch give what each gives alone, in the caller's order."""
    from s2s_training.fit.greedy_decoder import GreedyDecoder
    from s2s_training.models.encoder_decoder import build_model

    vocabulary = build_vocabulary(Corpus(EXAMPLES, EXAMPLES[:1]), config)
    layout = Layout.of(vocabulary, config.model)
    model = build_model(config.model, layout)
    generator = np.random.default_rng(7)
    for weights in model.trainable_weights:  # strong enough to say different things
        weights.assign(generator.normal(size=weights.shape))
    model.get_layer("probabilities").bias.assign(np.zeros(layout.target_size))
    sources = [example.source for example in EXAMPLES]
    decoded = GreedyDecoder(model, layout, vocabulary).decode(sources)
    assert decoded == [one_by_one(model, layout, vocabulary, source) for source in sources]
    assert len(set(decoded)) > 1


def test_padding_start_and_unknown_are_never_written():
    """However probable, as in the runtime; the most probable of the other symbols stands there."""
    from s2s_training.fit.greedy_decoder import GreedyDecoder
    from s2s_training.models.encoder_decoder import build_model

    config = default_config("x").override(units=4, embedding=3)
    vocabulary = build_vocabulary(Corpus(EXAMPLES, []), config)
    layout, target = Layout.of(vocabulary, config.model), vocabulary.target
    model = build_model(config.model, layout)
    bias = np.zeros(layout.target_size)
    bias[target.symbols.index("y")] = 20
    bias[[target.padding_id, target.unknown_id, target.start_id]] = 40
    model.get_layer("probabilities").bias.assign(bias)
    assert GreedyDecoder(model, layout, vocabulary).decode(["ab"]) == ["y" * vocabulary.max_length]


def test_a_repeat_vector_model_answers_in_one_call():
    """The answer is read off without its padding."""
    from s2s_training.fit.greedy_decoder import GreedyDecoder
    from s2s_training.models.encoder_decoder import build_model

    config = default_config("addition").override(units=5, reverse=True)
    sums = [Example("1+2", ("3",)), Example("40+2", ("42",))]
    vocabulary = build_vocabulary(Corpus(sums, sums), config)
    layout = Layout.of(vocabulary, config.model)
    model = build_model(config.model, layout)
    (decoded,) = GreedyDecoder(model, layout, vocabulary).decode(["1+2"])
    reversed_and_padded = np.eye(layout.source_size)[[[vocabulary.source.encode(c)[0] for c in " 2+1"]]]
    ids = model(reversed_and_padded).numpy()[0].argmax(-1)
    assert decoded == vocabulary.target.decode(ids.tolist())
