"""Models that s2s-train builds."""

from dataclasses import replace

from architectures.parts import EMBEDDED, SOURCE, TARGET, UNITS


def trained(**options):
    from layouts import IDS

    from s2s_training.config.model import ModelConfig
    from s2s_training.models.encoder_decoder import build_model

    layout = replace(IDS, source_size=SOURCE, target_size=TARGET, start_id=1)
    return build_model(ModelConfig(units=UNITS, embedding=EMBEDDED, **options), layout)


def input_feeding():
    """s2s-train --input-feeding: the attentional vector is part of the next step's input."""
    return trained(attention="additive", input_feeding=True, bidirectional=True, decoder_layers=2)


def scheduled_sampling():
    """s2s-train --scheduled-sampling: the model's own guesses in training, plain tokens afterwards."""
    return trained(cell="gru", attention="general", scheduled_sampling=0.5, tied=True)


def probabilities_free_running():
    """s2s-train --free-running: the softmax fed back by one layer, states and attention with it."""
    return trained(attention="dot", free_running=True)


MODELS = (
    input_feeding,
    scheduled_sampling,
    probabilities_free_running,
)
