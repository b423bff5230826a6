"""The kinds of models that people have, what to type for each, and the test that holds it: the guide's table."""

from typing import NamedTuple


class Kind(NamedTuple):
    """A row: what it is, what happens, what to type, and its test.

    The test is one of the `ARCHITECTURES` by its name, or `file::function` below tests/export.
    """

    what: str
    works: str
    typed: str
    test: str


_STEPPED, _PARTS = "test_stepped_exports.py", "keras_files/test_files_in_parts.py"
_FED = "test_fed_inputs.py"
_TOKENS = "--start-id 1 --end-id 2"

KINDS = (
    Kind("teacher forcing, `Embedding`s, masked", "yes", f"s2s-export m.keras {_TOKENS}", "gru_reset_after"),
    Kind(
        "one-hot characters, padding read by the model",
        "yes",
        f"s2s-export m.h5 {_TOKENS} --source-length 16 --padding zeros",
        "canonical",
    ),
    Kind("attention by layers, or by hand", "yes", f"s2s-export m.keras {_TOKENS}", "attention_additive"),
    Kind("unrolled, without teacher forcing", "yes", "s2s-export m.keras --start-zeros", "probabilities_shared_layer"),
    Kind("unrolled, each step reading a slice", "yes", f"s2s-export m.keras {_TOKENS}", "teacher_sliced_rows"),
    Kind("the source is a vector (captions)", "yes", f"s2s-export m.keras {_TOKENS}", "vector_source"),
    Kind("the source is a picture", "yes", f"s2s-export m.keras {_TOKENS}", "picture_source"),
    Kind("the source is a video, of any number of frames", "yes", f"s2s-export m.keras {_TOKENS}", "video_source"),
    Kind(
        "next frames: ConvLSTM on either side",
        "yes, frames are given and come as they are",
        "s2s-export m.keras --feed last_frames=previous",
        "frames",
    ),
    Kind("a forecaster that reads its own output", "yes", "s2s-export m.keras --feed x=previous", "continuous"),
    Kind(
        "a forecaster that reads what is known in advance",
        "yes, with `known=` when decoding",
        "s2s-export m.keras --feed x=known",
        f"{_FED}::test_what_is_known_in_advance_is_read_step_by_step",
    ),
    Kind(
        "a decoder that reads zeros",
        "yes",
        "s2s-export m.keras --feed x=zeros",
        f"{_FED}::test_zeros_are_read_at_every_step",
    ),
    Kind("causal convolutions in the decoder", "yes", f"s2s-export m.keras {_TOKENS}", "causal_convolutions"),
    Kind(
        "self-attention over the target",
        "yes, fed its growing prefix at every step",
        f"s2s-export m.keras {_TOKENS} --max-length 40",
        "transformer_decoder",
    ),
    Kind("`TimeDistributed` in the encoder", "yes", f"s2s-export m.keras {_TOKENS}", "time_distributed_models"),
    Kind(
        "strings: `TextVectorization` first",
        "yes",
        "s2s-export m.keras --start [start] --end [end]",
        "understand/test_text_layers.py::test_text_vectorization",
    ),
    Kind(
        "several outputs",
        "yes, one of them",
        f"s2s-export m.keras {_TOKENS} --decoder-output words",
        "understand/test_several_outputs.py::test_command",
    ),
    Kind(
        "encoder and decoder of an inference loop",
        "yes",
        f"s2s-export --encoder e.h5 --decoder d.h5 {_TOKENS}",
        f"{_STEPPED}::test_the_command_takes_two_files",
    ),
    Kind(
        "subclassed models, loops of your own",
        "yes",
        "`s2s_export.export_steps(encode, step, path)`",
        f"{_STEPPED}::test_functions_give_what_their_loop_gives",
    ),
    Kind(
        "layers and cells of your own",
        "yes",
        f"s2s-export m.keras {_TOKENS} --custom-objects my_layers:MyLayer",
        "recurrent_layers_inside_a_layer",
    ),
    Kind(
        "a language model: what follows each symbol",
        "yes, [on its own page](language-models.md)",
        "s2s-export m.keras --feedback token --target-vocab symbols.json",
        "test_language_models.py::test_a_bundle_writes_on_as_its_loop_does",
    ),
    Kind(
        "a language model: what follows a window",
        "yes, run on the window at every step",
        "s2s-export m.keras --feedback token --source-length 40 --target-vocab symbols.json",
        "test_language_models.py::test_a_window_of_any_length_is_asked_for",
    ),
    Kind(
        "`Lambda` layers, with functions of yours in place of their code",
        "yes, and nothing in the file runs",
        f"s2s-export m.keras {_TOKENS} --lambda scaled=my_module:scale",
        "keras_files/test_doors.py::test_functions_for_lambda_layers_on_the_command_line",
    ),
    Kind(
        "`Lambda` layers, their own code run",
        "yes, if you trust the file",
        f"s2s-export m.keras {_TOKENS} --trust-lambda",
        "keras_files/test_persons_set_up.py::test_names_in_the_code_of_lambda_layers",
    ),
    Kind(
        "the folder of TensorFlow 2.0 to 2.15",
        "yes",
        f"s2s-export folder {_TOKENS}",
        f"{_PARTS}::test_the_folder_exports",
    ),
    Kind(
        "Keras 2, with calls of TensorFlow between layers",
        "yes",
        f"s2s-export m.h5 {_TOKENS}",
        f"{_PARTS}::test_calls_of_tensorflow_between_layers",
    ),
    Kind(
        "`model.json` and weights",
        "yes",
        f"s2s-export model.json --weights w.h5 {_TOKENS}",
        f"{_PARTS}::test_a_configuration_beside_its_weights",
    ),
    Kind(
        "weights, and the code that builds the model",
        "yes",
        f"s2s-export --weights w.npz --model-fn my_script:build {_TOKENS}",
        f"{_PARTS}::test_weights_for_code",
    ),
)
