"""The kinds of models that people have, what to type for each, and the test that holds it: the guide's table."""

from typing import NamedTuple


class Kind(NamedTuple):
    """A row: what it is, what happens, what to type, and its test.

    The test is one of the `ARCHITECTURES` or, of runs of the trainer, of the `SYSTEMS` by its name, or `file::function`
    below tests/export.
    """

    what: str
    works: str
    typed: str
    test: str


_STEPPED, _PARTS = "test_stepped_exports.py", "keras_files/test_files_in_parts.py"
_FED = "test_fed_inputs.py"
_ONE_PASS = "one_pass/test_one_pass_models.py"
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
    Kind(
        "variational autoencoders, with noise of a normal distribution",
        "yes, at the mean",
        f"s2s-export m.keras {_TOKENS}",
        "understand/test_sampling_layers.py::test_noise_is_exported_at_its_mean",
    ),
    Kind(
        "a captioner that gives the next word alone, for all words so far",
        "no: let a word come out for each (`return_sequences=True`); the weights stay",
        "s2s-export --weights w.h5 --model-fn my_script:build",
        "understand/test_sampling_layers.py::test_a_captioner_that_gives_the_next_word_alone",
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
    Kind(
        "position by position: source and target of one length",
        "yes, one pass",
        "s2s-export m.keras --source-length 10",
        f"{_ONE_PASS}::test_all_positions_are_kerass",
    ),
    Kind("a tagger", "yes, one pass", "s2s-export m.keras", f"{_ONE_PASS}::test_a_tagger_gives_as_many_tags_as_words"),
    Kind(
        "a tagger of several features",
        "yes, one pass",
        "s2s-export m.keras --feedback none",
        f"{_ONE_PASS}::test_several_inputs_of_steps_are_asked_about",
    ),
    Kind(
        "`RepeatVector` and a decoder of both directions",
        "yes, one pass",
        "s2s-export m.keras --source-length 8",
        f"{_ONE_PASS}::test_all_positions_are_kerass",
    ),
    Kind("a forecast in one shot", "yes, one pass", "s2s-export m.keras", f"{_ONE_PASS}::test_values_of_a_window"),
    Kind(
        "a causal model, reading by reading",
        "yes, one pass and `Model.start`",
        "s2s-export m.keras",
        "one_pass/test_causal_models.py::test_readings_of_zeros_are_readings",
    ),
    Kind(
        "a layer of your own in the decoder that carries on by itself, or counts steps",
        "yes, fed its growing prefix at every step",
        f"s2s-export m.keras {_TOKENS} --max-length 40 --custom-objects my_layers:MyLayer",
        "recurrence_in_a_decoder_layer",
    ),
    Kind("`TimeDistributed` in the encoder", "yes", f"s2s-export m.keras {_TOKENS}", "time_distributed_models"),
    Kind(
        "strings: `TextVectorization` first",
        "yes",
        "s2s-export m.keras --start [start] --end [end]",
        "understand/test_text_layers.py::test_text_vectorization",
    ),
    Kind(
        "slots and an intent, two sets of tags: several outputs of one pass",
        "yes, [all in one bundle](one-pass.md#several-outputs)",
        "s2s-export m.keras --target-vocab slots=tags.json --target-vocab intent=intents.json",
        "several_outputs/test_one_bundle.py::test_command",
    ),
    Kind(
        "an encoder-decoder of several outputs",
        "yes, one of them",
        f"s2s-export m.keras {_TOKENS} --decoder-output words",
        "understand/test_several_outputs.py::test_command",
    ),
    Kind(
        "several outputs, all fed back (a note and its duration)",
        "yes, as one token that is both",
        f"s2s-export m.keras {_TOKENS} --decoder-output note+duration",
        "test_joined_outputs.py::test_both_are_those_of_the_authors_loop",
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
        "trained with CTC: speech",
        "yes, [on its own page](ctc.md)",
        "s2s-export m.keras --ctc last --target-vocab symbols.json",
        "test_ctc_models.py::test_scores_are_tensorflows_ctc_loss",
    ),
    Kind(
        "trained with CTC: captchas, handwriting, the loss in a layer",
        "yes, without that layer",
        "s2s-export m.keras --ctc last --custom-objects my_script:CTCLayer",
        "test_ctc_models.py::test_the_layer_of_the_loss_is_left_out",
    ),
    Kind(
        "trained here: a tagger, or any source and target of one length",
        "yes, one pass",
        "`s2s-train pairs.tsv -o run --model same-length`, `s2s-export run`",
        "tagger",
    ),
    Kind(
        "trained here: with CTC, a target shorter than its frames",
        "yes, one pass",
        "`s2s-train pairs.tsv -o run --model ctc`, `s2s-export run`",
        "ctc",
    ),
    Kind(
        "trained here: a language model",
        "yes",
        "`s2s-train lines.txt -o run --kind language-model`, `s2s-export run`",
        "language-model",
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
        "TensorFlow 2.0 to 2.3, with bare operations between layers (`TensorFlowOpLayer`)",
        "yes",
        f"s2s-export m.h5 {_TOKENS}",
        f"{_PARTS}::test_operations_of_tensorflow_between_layers",
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
