"""A loaded model among processes: forked, spawned, in pools, interrupted, at the interpreter's end. Nothing hangs."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

import s2s_runtime
from s2s_runtime import Model

TINY = str(Path(__file__).parents[2] / "fixtures" / "tiny.s2s")
SECONDS = 60
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")

PARENT = f"""
import gc, os, sys, threading
import s2s_runtime
model = s2s_runtime.load({TINY!r}, intra_op_threads=2, workers=2)
sources = ["abcde"] * 300
expected = [result.text for result in model.generate(sources)]
decoder = s2s_runtime.Decoder(model, end_tokens=[], max_length=300)
decoder.submit("abc").result()
if {{busy}}:
    threading.Thread(target=lambda: [model.generate(sources) for _ in range(10**6)], daemon=True).start()
    futures = [decoder.submit("abc") for _ in range(500)]
for _ in range({{times}}):
    child = os.fork()
    if child == 0:
        {{work}}
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("done", flush=True)
os._exit(0)
"""

IN_CHILD = {
    "generate": "assert [result.text for result in model.generate(sources)] == expected",
    "one": "assert model.generate(sources[:1])[0].text == expected[0]",
    "close the model": "model.close(); decoder = None; gc.collect()",
    "leave": "sys.exit(0)",
    "close the decoder": "decoder.close()",
    "another decoder": "assert s2s_runtime.Decoder(model).submit('abcde').result().text == expected[0]",
    "load": f"s2s_runtime.load({TINY!r}).generate(sources)",
    "hand in": "\n".join(
        (
            "try:",
            "            decoder.submit('abc')",
            "        except s2s_runtime.ClosedModelError as error:",
            "            assert 'make a Decoder in this process' in str(error)",
            "        else:",
            "            os._exit(1)",
        )
    ),
}


def run_parent(work: str, *, busy: bool) -> None:
    """Fork children that do the work; all end well within the time."""
    program = PARENT.format(busy=busy, times=3, work=work)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.stdout == "done\n", done.stderr


@needs_fork
@pytest.mark.parametrize("busy", [False, True], ids=["calm", "busy"])
@pytest.mark.parametrize("work", IN_CHILD)
def test_a_forked_child_works_or_says_that_it_cannot(work: str, busy: bool) -> None:
    """The same tokens, also where other threads of the parent decode at the time of the fork."""
    run_parent(IN_CHILD[work], busy=busy)


@needs_fork
def test_results_promised_in_the_parent_are_errors_in_the_child() -> None:
    """Nobody there will ever give them."""
    work = "\n".join(
        (
            "try:",
            "            futures[-1].result()",
            "        except s2s_runtime.ClosedModelError:",
            "            os._exit(0)",
            "        os._exit(1)",
        )
    )
    run_parent(work, busy=True)


@needs_fork
@pytest.mark.parametrize("shares", ["shares", "a thread", "threads in operators", "given"])
def test_a_child_goes_on_with_the_sessions_that_nothing_is_missing_of(shares: str) -> None:
    """With one thread, forked by the only one of the parent, nothing is opened again; else everything is."""
    program = f"""
import os, threading, onnxruntime, s2s_runtime
from s2s_runtime.ort import bundle_sessions
given = {{"encoder": onnxruntime.InferenceSession({TINY!r} + "/encoder.onnx")}} if {shares!r} == "given" else None
threads = 2 if {shares!r} == "threads in operators" else 1
model = s2s_runtime.load({TINY!r}, workers=1, intra_op_threads=threads, sessions=given)
expected = [[result.text for result in model.generate(["abc", "deed"], beam_size=size)] for size in (1, 3)]
end = threading.Event()
if {shares!r} == "a thread":
    threading.Thread(target=end.wait, daemon=True).start()
opened = []
real = bundle_sessions.open_session
bundle_sessions.open_session = lambda *arguments: opened.append(1) or real(*arguments)
for _ in range(3):
    child = os.fork()
    if child == 0:
        try:
            found = [[result.text for result in model.generate(["abc", "deed"], beam_size=size)] for size in (1, 3)]
        except s2s_runtime.ClosedModelError:
            os._exit(9)
        assert found == expected
        model.close()
        os._exit(len(opened))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert [[result.text for result in model.generate(["abc", "deed"], beam_size=size)] for size in (1, 3)] == expected
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert {int(line) for line in done.stdout.split()} == {{"shares": 0, "given": 9}.get(shares, 3)}


@needs_fork
def test_sessions_that_were_given_are_refused_in_a_child() -> None:
    """They can't be opened again; the message says what to do."""
    program = f"""
import os, onnxruntime, s2s_runtime
session = onnxruntime.InferenceSession({TINY!r} + "/encoder.onnx")
model = s2s_runtime.load({TINY!r}, sessions={{"encoder": session}})
child = os.fork()
if child == 0:
    try:
        model.generate(["abc"])
    except s2s_runtime.ClosedModelError as error:
        os._exit(0 if "was given to load" in str(error) and "load the bundle in the process" in str(error) else 2)
    os._exit(1)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=SECONDS, check=False).returncode == 0


@needs_fork
@pytest.mark.parametrize("given", ["decoder", "unknown", None])
def test_sessions_that_only_a_traceback_holds_are_left_alone_in_a_child(given: str | None) -> None:
    """What was refused waits in a cycle for the garbage collector: that of a child must not end it."""
    program = f"""
import gc, os, onnxruntime, s2s_runtime
from s2s_runtime.ort import bundle_sessions
gc.disable()
if {given!r} is None:
    bundle_sessions.promised = lambda manifest: dict.fromkeys(manifest.graphs, (["other"], []))
def refuse():
    session = onnxruntime.InferenceSession({TINY!r} + "/encoder.onnx") if {given!r} else None
    try:
        s2s_runtime.load({TINY!r}, sessions=session and {{{given!r}: session}}).generate(["abc"])
    except (s2s_runtime.BundleError, s2s_runtime.OptionError) as error:
        assert "the graph doesn't fit the manifest" in str(error) or "got unknown" in str(error), error
        kept = error
refuse()
child = os.fork()
if child == 0:
    gc.collect()
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=SECONDS, check=False).returncode == 0


@pytest.mark.parametrize("waiting", [0, 300])
def test_a_decoder_alive_at_the_end_ends(waiting: int) -> None:
    """The process ends by itself, with what the program says, whatever its thread is at."""
    program = f"""
import s2s_runtime
model = s2s_runtime.load({TINY!r})
decoder = s2s_runtime.Decoder(model, max_length=400, end_tokens=[])
futures = [decoder.submit("abcde") for _ in range({waiting} + 1)]
futures[0].result()
"""
    for _ in range(8):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


_loaded: dict[str, Model] = {}


def decode_here(text: str) -> str:
    """Decode in a process of a pool, which loads the bundle once."""
    model = _loaded.setdefault(TINY, _loaded.get(TINY) or s2s_runtime.load(TINY))
    return model.generate([text])[0].text


def results_here(text: str) -> object:
    """Whole results, and errors, go through pipes."""
    return s2s_runtime.load(TINY).generate([text], beam_size=2, return_attention=True)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_of_processes_decode(tiny: Model, method: str) -> None:
    """However they are started, with a model loaded in this process; results and errors come back whole."""
    expected = [result.text for result in tiny.generate(["abc", "de"])]
    _loaded[TINY] = tiny  # what a forked child finds
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(decode_here, ["abc", "de"]).get(SECONDS) == expected
        found = pool.apply_async(results_here, ("abc",)).get(SECONDS)
        assert found == tiny.generate(["abc"], beam_size=2, return_attention=True)
        with pytest.raises(s2s_runtime.UnknownSymbolError) as caught:
            pool.apply_async(decode_here, ("X",)).get(SECONDS)
        assert caught.value.symbol == "X"


def test_executors_decode(tiny: Model) -> None:
    """Those of the standard library, as joblib's, hand errors on too."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(decode_here, "abc").result(SECONDS) == tiny.generate(["abc"])[0].text
        with pytest.raises(s2s_runtime.UnknownSymbolError):
            pool.submit(decode_here, "X").result(SECONDS)


def test_a_model_is_not_sent() -> None:
    """It says so at once, rather than in the pool."""
    with s2s_runtime.load(TINY) as model, pytest.raises(TypeError):
        pickle.dumps(model)


@pytest.mark.skipif(os.name == "nt", reason="SIGINT can't be sent to a process alone")
@pytest.mark.parametrize("sentences", [1, 64, 600])
def test_an_interrupt_is_answered_soon(sentences: int) -> None:
    """A run that would take minutes ends with KeyboardInterrupt while its graph writes; so do the workers'."""
    program = f"""
import s2s_runtime
model = s2s_runtime.load({TINY!r}, workers=2)
model.generate(["abcde"] * {sentences}, max_length=50, end_tokens=[])
print("begun", flush=True)
model.generate(["abcde"] * {sentences}, max_length=10**7, end_tokens=[])
"""
    running = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=SECONDS)
    finally:
        running.kill()
    assert errors.rstrip().endswith("KeyboardInterrupt"), errors
