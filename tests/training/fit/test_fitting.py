import numpy as np
import pytest
from layouts import IDS

from s2s_training.config.fit import FitConfig
from s2s_training.config.model import ModelConfig

pytestmark = pytest.mark.tensorflow


def probabilities(shape, seed=0):
    """Random distributions over the last axis."""
    raw = np.random.default_rng(seed).uniform(0.1, 1, shape).astype(np.float32)
    return raw / raw.sum(-1, keepdims=True)


def test_loss_is_the_mean_over_the_steps_that_count():
    """Masked models: padded steps neither add to the loss nor to what it is divided by."""
    from s2s_training.fit.compiling import CrossEntropy

    y_pred, y_true = probabilities((2, 3, 4)), np.array([[1, 2, 3], [0, 0, 0]])
    weights = np.array([[1, 1, 1], [1, 0, 0]], np.float32)
    each = -np.log(np.take_along_axis(y_pred, y_true[..., None], -1)[..., 0])
    loss = CrossEntropy()(y_true, y_pred, sample_weight=weights)
    assert float(loss) == pytest.approx((each * weights).sum() / 4, rel=1e-5)


def test_loss_of_the_published_models_is_divided_by_all_steps():
    """A row of zeros adds nothing, and counts as a step: the published numbers are such means."""
    import keras

    from s2s_training.fit.compiling import CrossEntropy

    y_pred, y_true = probabilities((2, 3, 4)), np.array([[1, 2, 3], [0, 0, 0]])
    weights = np.array([[1, 1, 1], [1, 0, 0]], np.float32)
    rows = np.eye(4, dtype=np.float32)[y_true] * weights[..., None]
    published = keras.losses.CategoricalCrossentropy()(rows, y_pred)
    loss = CrossEntropy(reduction="sum_over_batch_size")(y_true, y_pred, sample_weight=weights)
    assert float(loss) == pytest.approx(float(published), rel=1e-5)


def test_a_row_of_zeros_has_no_gradient():
    """TensorFlow's fused cross-entropy pushes the model at such rows; a weight of zero doesn't."""
    import tensorflow as tf

    from s2s_training.fit.compiling import CrossEntropy

    logits = tf.Variable(np.random.default_rng(0).normal(size=(1, 2, 4)).astype(np.float32))

    labels, weights = tf.constant([[2, 0]]), tf.constant([[1.0, 0.0]])

    @tf.function
    def gradient():
        with tf.GradientTape() as tape:
            loss = CrossEntropy(reduction="sum_over_batch_size")(labels, tf.nn.softmax(logits), weights)
        return tape.gradient(loss, logits)

    each = np.abs(gradient().numpy()).sum(-1)[0]
    assert each[0] > 0.1
    assert each[1] == 0


def test_label_smoothing_spreads_a_share_over_all_symbols():
    """The target is 1 - s on the label plus s / symbols everywhere."""
    from s2s_training.fit.compiling import CrossEntropy

    y_pred = probabilities((1, 1, 4))
    target = np.full(4, 0.1 / 4) + np.eye(4)[2] * 0.9
    loss = CrossEntropy(0.1)(np.array([[2]]), y_pred, sample_weight=np.ones((1, 1), np.float32))
    assert float(loss) == pytest.approx(-(target * np.log(y_pred[0, 0])).sum(), rel=1e-5)


def test_rmsprop_steps_as_keras_2_did():
    """A gradient of 1e-5 moves a weight by about the learning rate over the root of 1 - rho."""
    import keras
    import tensorflow as tf

    from s2s_training.fit.compiling import make_optimizer

    weight = keras.Variable([0.0])
    make_optimizer(FitConfig(optimizer="rmsprop", learning_rate=0.001, clip_norm=0)).apply(
        [tf.constant([1e-5])], [weight]
    )
    expected = 0.001 * 1e-5 / (np.sqrt(0.1 * 1e-10) + 1e-7)
    assert -weight.numpy()[0] == pytest.approx(expected, rel=0.05)


def test_metrics_are_exact_means_however_batches_are_cut():
    """Cross-entropy and accuracy per step that counts, over batches of unequal sizes and lengths."""
    from s2s_training.data.arrays import BucketedPairs, EncodedPairs
    from s2s_training.data.tf_datasets import make_dataset
    from s2s_training.fit.compiling import compile_model
    from s2s_training.models.encoder_decoder import build_model

    model = build_model(ModelConfig(units=3, embedding=3, cell="gru"), IDS)
    compile_model(model, FitConfig(label_smoothing=0.1), IDS)
    pairs = EncodedPairs([[3] * n for n in range(1, 6)], [[2, *[4, 5, 6, 7, 4][:n], 3] for n in range(1, 6)])
    figures = model.evaluate(make_dataset(BucketedPairs(pairs, IDS, 3, 2), IDS), return_dict=True, verbose=0)
    nats, right = [], []
    for source, target in zip(pairs.sources, pairs.targets, strict=True):
        y = model([np.array([source]), np.array([target[:-1]])]).numpy()[0]
        nats += (-np.log(y[np.arange(len(y)), target[1:]])).tolist()
        right += (y.argmax(-1) == target[1:]).tolist()
    assert figures["cross_entropy"] == pytest.approx(np.mean(nats), rel=1e-5)
    assert figures["token_accuracy"] == pytest.approx(np.mean(right), rel=1e-5)


def small_model(**options):
    from s2s_training.models.encoder_decoder import build_model

    return build_model(ModelConfig(**{"units": 3, "embedding": 3, "cell": "gru"} | options), IDS)


SOURCE, TARGET = np.array([[3, 4, 5], [6, 7, 0], [8, 3, 3], [4, 0, 0]]), np.array([[2, 4, 5, 3]] * 4)
BATCH = ((SOURCE, TARGET[:, :-1]), TARGET[:, 1:], np.ones((4, 3), np.float32))


def test_accumulated_batches_are_one_large_one():
    """Two halves of a batch, each with as many steps, move weights as the whole does."""
    from s2s_training.fit.compiling import compile_model

    whole, halves = small_model(), small_model()
    halves.set_weights(whole.get_weights())
    compile_model(whole, FitConfig(learning_rate=0.1), IDS)
    compile_model(halves, FitConfig(learning_rate=0.1, accumulation=2), IDS)
    for _ in range(2):
        whole.train_on_batch(*BATCH)
        before = halves.get_weights()
        for part in (slice(0, 2), slice(2, 4)):
            for own, first in zip(halves.get_weights(), before, strict=True):
                np.testing.assert_array_equal(own, first)  # nothing moves before the last of them
            (source, target), labels, weights = BATCH
            halves.train_on_batch((source[part], target[part]), labels[part], weights[part])
    for one, other in zip(whole.get_weights(), halves.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_r_drop_is_half_the_published_sum():
    """Of the two passes that the model makes, by their own probabilities; a weight of 0 leaves the mean of losses."""
    import keras

    from s2s_training.fit.compiling import compile_model
    from s2s_training.fit.r_drop import TwiceThroughModel

    plain = small_model(dropout=0.4)
    model = TwiceThroughModel(plain, 3.0, "mean_with_sample_weight")
    passes, own = [], model.call

    def kept(*given, **named):
        passes.append(own(*given, **named))
        return passes[-1]

    model.call = kept
    compile_model(model, FitConfig(), IDS)
    model.run_eagerly = True
    inputs, labels, weights = BATCH
    weights = weights * np.array([[1.0], [1], [1], [0]], np.float32)
    loss = model.train_on_batch(inputs, labels, weights, return_dict=True)["loss"]
    first, second = (np.asarray(each, np.float64)[:3] for each in passes[-2:])
    nats = [-np.log(np.take_along_axis(each, labels[:3, :, None], -1)).mean() for each in (first, second)]
    divergences = ((first - second) * (np.log(first) - np.log(second))).sum(-1).mean()
    assert divergences > 1e-4
    assert float(loss) == pytest.approx(sum(nats) / 2 + 3.0 * divergences / 4, rel=1e-4)
    assert float(model.test_on_batch(inputs, labels, weights, return_dict=True)["loss"]) == pytest.approx(
        float(keras.losses.SparseCategoricalCrossentropy()(labels[:3], plain([each[:3] for each in inputs]))), rel=1e-4
    )


def test_word_dropout_drops_whole_symbols():
    """In training, on either side; vectors of one symbol are dropped together or not at all."""
    import keras

    model = small_model(word_dropout=0.5)
    for side in ("source", "target"):
        dropping = next(
            layer
            for layer in model.layers
            if isinstance(layer, keras.layers.Dropout) and side in layer.input._keras_history.operation.name
        )
        rows = np.asarray(dropping(np.ones((40, 5, 3), np.float32), training=True))
        assert set(np.unique(rows)) == {0.0, 2.0}
        assert (rows.min(axis=-1) == rows.max(axis=-1)).all()
        assert 0.3 < (rows == 0).mean() < 0.7
        np.testing.assert_array_equal(dropping(rows), rows)
