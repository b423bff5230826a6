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
