"""What a model's arrays look like, as the tests of models and of their arrays share it."""

from s2s_training.data.arrays import Layout

IDS = Layout(
    source_size=9,
    target_size=8,
    one_hot=False,
    fed=True,
    source_padding=0,
    target_padding=0,
    source_length=None,
    target_length=None,
    source_side="right",
    padding_counts=False,
    per_step=False,
)
