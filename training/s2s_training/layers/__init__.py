"""Every layer of this package that a saved model may hold; importing this module is what loading such a model needs."""

from s2s_training.layers.attention_cells import AlignedCell, Alignment, AttentionCell
from s2s_training.layers.cells import OutputCell, ReadoutCell, StackCell
from s2s_training.layers.conditioned_rnn import ConditionedRNN
from s2s_training.layers.constant_row import ConstantRow
from s2s_training.layers.seq2seq_model import Seq2SeqModel

__all__ = [
    "AlignedCell",
    "Alignment",
    "AttentionCell",
    "ConditionedRNN",
    "ConstantRow",
    "OutputCell",
    "ReadoutCell",
    "Seq2SeqModel",
    "StackCell",
]
