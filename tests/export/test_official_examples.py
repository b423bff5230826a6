"""The official sequence examples of Keras and TensorFlow: each exports, and gives what its own page's loop gives."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
from official import SERIES
from official.example import Example

import s2s_runtime

pytestmark = pytest.mark.tensorflow

EXAMPLES = {example.run.__name__: example for series in SERIES.values() for example in series}


@pytest.mark.filterwarnings("ignore:.*does not support masking")
@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_gives_what_its_own_loop_gives(example: Example, tmp_path: Path) -> None:
    """Tokens are the same; values are, up to rounding."""
    if example.dear and not os.environ.get("S2S_DEAR_EXAMPLES"):
        pytest.skip("takes seconds of what others try too: make official")
    keras.utils.set_random_seed(3)
    exported = example.run(tmp_path / "m.s2s")
    with s2s_runtime.load(tmp_path / "m.s2s") as bundle:
        given = exported.given(bundle)
    if isinstance(exported.wanted, np.ndarray):
        assert given.shape == exported.wanted.shape
        np.testing.assert_allclose(given, exported.wanted, atol=1e-4)
    else:
        assert given == exported.wanted
