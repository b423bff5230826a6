"""The files of examples/deployment, as far as they can be tried on a machine without containers.

What takes long is tried by `make test-platforms` alone.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import runpy
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import ROOT, TINY

import s2s_runtime

from .conftest import Asker, Served

FOLDER = ROOT / "examples" / "deployment"
UNIT = FOLDER / "s2s-serve.service"
IMAGE = (FOLDER / "Dockerfile").read_text(encoding="utf-8").splitlines()


def systemd_analyze() -> str:
    """The command; the test is skipped where there is none."""
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("needs systemd-analyze")
    return found


def needs(*programs: str) -> None:
    """Skip where a program is missing, or gunicorn, which only the environment of what takes long has."""
    pytest.importorskip("gunicorn", reason="takes long: `make test-platforms` tries it")
    if missing := [program for program in programs if shutil.which(program) is None]:
        pytest.skip(f"needs {', '.join(missing)}")


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing, with a command that exists; its options are the command's."""
    analyze = systemd_analyze()
    text = UNIT.read_text(encoding="utf-8")
    assert "/opt/s2s/bin/s2s-serve /srv/model.s2s " in text
    (tmp_path / "s2s-serve.service").write_text(text.replace("/opt/s2s/bin/s2s-serve", sys.executable), "utf-8")
    done = subprocess.run(
        [analyze, "verify", str(tmp_path / "s2s-serve.service")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    help_text = subprocess.run(
        [sys.executable, "-m", "s2s_runtime", "serve", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(word in help_text for word in line.split() if word.startswith("--"))


def test_the_unit_leaves_little_open() -> None:
    """Systemd's own measure of what a service could do if it were taken over stays under 2 of 10."""
    command = [systemd_analyze(), "security", "--offline=true", "--threshold=20", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def system_calls(group: str, analyze: str) -> set[str]:
    """The system calls of a group of systemd's, and of the groups in it."""
    written = subprocess.run([analyze, "syscall-filter", group], capture_output=True, text=True, check=True).stdout
    names = {line.strip() for line in written.splitlines()[1:] if line.strip() and not line.strip().startswith("#")}
    within = {name for name in names if name.startswith("@")}
    return (names - within).union(*(system_calls(name, analyze) for name in within))


def ask_all(served: Served) -> None:
    """One request of each kind, each answered."""
    for content in ({"texts": ["abc"] * 50}, {"text": "deed", "beam_size": 4}, {"text": "abc", "stream": True}):
        assert served.ask("/generate", content).status == 200


def test_the_server_does_only_what_the_unit_allows(tmp_path: Path) -> None:
    """Loading, answering, reloading and ending: no system call but those allowed, no memory both written and executed.

    The kernel itself refuses such memory here, as `MemoryDenyWriteExecute` has it.
    """
    analyze = systemd_analyze()
    needs("strace")
    text = UNIT.read_text(encoding="utf-8")
    [group] = re.findall("^SystemCallFilter=(.*)$", text, re.MULTILINE)
    families = re.findall("^RestrictAddressFamilies=(.*)$", text, re.MULTILINE)[0].split()
    program = (
        "import ctypes, sys; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0; "  # PR_SET_MDWE
        "from s2s_runtime.commands.serve import main; main()"
    )
    traced, trace = [sys.executable, "-c", program, str(TINY), "--port", "0"], tmp_path / "trace"
    process = subprocess.Popen(["strace", "-f", "-q", "-o", trace, *traced], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    served = Served(process, int(process.stdout.readline().rpartition(":")[2]), tmp_path / "log")
    ask_all(served)
    server = int(trace.read_text().split(None, 1)[0])
    os.kill(server, signal.SIGHUP)
    time.sleep(1)
    ask_all(served)
    os.kill(server, signal.SIGTERM)
    assert process.wait(120) == 0
    process.stdout.close()
    written = trace.read_text()
    used = set(re.findall(r"^\d+ +(\w+)\(", written, re.MULTILINE))
    assert {"openat", "mmap", "accept4"} <= used
    assert used <= system_calls(group, analyze)
    assert set(re.findall(r"socket\((\w+),", written)) <= set(families)
    assert re.findall(r"openat\(.*(?:O_WRONLY|O_RDWR|O_CREAT).*", written) == []


def test_the_application_of_gunicorn_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module makes an application of the bundle that the environment names, loaded already."""
    monkeypatch.setenv("BUNDLE", str(TINY))
    monkeypatch.setattr("gc.freeze", lambda: None)  # it would hold for all tests that come
    app = runpy.run_path(str(FOLDER / "gunicorn_app.py"))["app"]

    async def run() -> int:
        async with app.pages.router.lifespan_context(app.pages):
            return (await Asker(app)("/generate", {"text": "abc"})).status

    assert asyncio.run(run()) == 200


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def wait_until_ready(served: Served) -> None:
    """Wait until it answers."""
    deadline = time.monotonic() + 120
    while True:
        assert served.process.poll() is None, served.log.read_text()
        assert time.monotonic() < deadline, served.log.read_text()
        try:
            if served.ask("/v2/health/ready").status == 200:
                return
        except OSError:
            time.sleep(0.1)


def test_processes_of_gunicorn_share_what_was_loaded(tmp_path: Path) -> None:
    """Two workers on one port answer as `generate` does; none opens the bundle, which is gone, nor does a later one."""
    needs()
    shutil.copytree(TINY, tmp_path / "model.s2s")
    port = free_port()
    words = ["-m", "gunicorn", "--preload", "-w", "2", "-k", "uvicorn_worker.UvicornWorker", "-b", f"127.0.0.1:{port}"]
    program = f"import os, runpy; app = runpy.run_path({str(FOLDER / 'gunicorn_app.py')!r})['app']; "
    (tmp_path / "tried_app.py").write_text(
        f"{program}\nimport shutil\nshutil.move({str(tmp_path / 'model.s2s')!r}, {str(tmp_path / 'gone')!r})\n"
        "from s2s_runtime.ort import bundle_sessions\nbundle_sessions.open_session = None\n"
    )
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *words, "tried_app:app"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "BUNDLE": str(tmp_path / "model.s2s")},
        )
    served = Served(process, port, tmp_path / "log")
    try:
        wait_until_ready(served)
        expected = {size: s2s_runtime.load(TINY).generate(["abc", "deed"], beam_size=size) for size in (1, 3)}

        def ask_many() -> None:
            for size in (1, 3) * 10:
                answer = served.ask("/generate", {"texts": ["abc", "deed"], "beam_size": size})
                assert answer.status == 200
                assert [row["text"] for row in answer.content["results"]] == [row.text for row in expected[size]]

        ask_many()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        time.sleep(1)
        wait_until_ready(served)
        ask_many()
        assert served.stop()[0] == 0
    finally:
        process.kill()
        process.communicate()


def test_the_function_answers_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events with texts, HTTP requests, packed or not; what is wrong in a request is a 400 that says so."""
    monkeypatch.setenv("BUNDLE", str(TINY))
    handler = runpy.run_path(str(FOLDER / "lambda_handler.py"))["handler"]
    expected = [row.text for row in s2s_runtime.load(TINY).generate(["abc", "deed"], beam_size=3)]
    asked = {"texts": ["abc", "deed"], "options": {"beam_size": 3}}
    assert handler(asked, None) == {"outputs": expected}

    def over_http(body: str, *, packed: bool = False) -> tuple[int, Any]:
        answer = handler({"requestContext": {}, "body": body, "isBase64Encoded": packed}, None)
        return answer["statusCode"], json.loads(answer["body"])

    assert over_http(json.dumps(asked)) == (200, {"outputs": expected})
    assert over_http(base64.b64encode(json.dumps(asked).encode()).decode(), packed=True) == (200, {"outputs": expected})
    status, content = over_http(json.dumps({"texts": ["abc"], "options": {"beam_size": 0}}))
    assert status == 400
    assert "beam_size" in content["error"]
    assert over_http("{")[0] == over_http("")[0] == over_http("{}")[0] == over_http("[]")[0] == 400


def test_the_image_starts_the_command_with_options_that_it_has() -> None:
    """What the Dockerfile copies is there, its user isn't root, and its entry point is the command."""
    copied = [line.split()[1] for line in IMAGE if line.startswith("COPY") and "--from" not in line]
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    assert "USER 10001" in IMAGE
    [entry] = [line for line in IMAGE if line.startswith("ENTRYPOINT")]
    assert entry.startswith('ENTRYPOINT ["s2s-serve", ')


def test_a_linter_finds_nothing_in_the_image() -> None:
    """Hadolint, with all its rules."""
    needs()
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, FOLDER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may read, which those of pytest aren't."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_lines_of_the_image_run(open_folder: Path) -> None:
    """Each RUN line, in a folder instead of a root; then the server, by the image's user, all the machine read-only.

    The health check tells when it answers. There is no place where it could write.
    """
    needs("unshare", "setpriv", "useradd")
    if os.geteuid():
        pytest.skip("needs root, which makes the root read-only, and becomes the image's user")
    [user] = [line.split()[1] for line in IMAGE if line.startswith("USER")]
    becoming = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"]
    if subprocess.run([*becoming, sys.executable, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"needs a Python that any user may run; {sys.executable} isn't one")
    root = open_folder / "root"
    (root / "etc").mkdir(parents=True)
    for name in ("passwd", "group", "shadow"):
        (root / "etc" / name).write_text("")
    shutil.copytree(TINY, root / "srv" / "model.s2s")

    def placed(words: str) -> str:
        return re.sub(r"(?<![\w.])/(?=(?:src|opt|srv)/)", f"{root}/", words)

    environment = dict(os.environ)
    for line in IMAGE:
        kind, _, rest = line.partition(" ")
        if kind == "COPY" and "--from" not in rest:
            source, target = rest.split()
            place = Path(placed(target))
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
            else:
                place.mkdir(parents=True)
                shutil.copy(ROOT / source, place)
        elif kind == "RUN":
            line_here = (
                placed(rest)
                .replace("python ", f"{shlex.quote(sys.executable)} ", 1)
                .replace("useradd ", f"useradd --prefix {root} ")
            )
            subprocess.run(["sh", "-euc", line_here], check=True, capture_output=True, text=True)
        elif kind == "ENV":
            name, _, value = placed(rest).partition("=")
            environment[name] = value.replace(f"${name}", environment[name])
    assert "s2s:x:10001:" in (root / "etc" / "passwd").read_text()
    shutil.rmtree(root / "src")  # the second stage has none of it

    [entry] = [json.loads(placed(line.partition(" ")[2])) for line in IMAGE if line.startswith("ENTRYPOINT")]
    [check] = [json.loads(line.partition(" CMD ")[2]) for line in IMAGE if line.startswith("HEALTHCHECK")]
    port = free_port()
    words = [*becoming, *entry, "--port", str(port)]
    shell = f"mount -o remount,ro,bind / && cd / && exec {shlex.join(words)}"
    environment |= {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}
    with (open_folder / "log").open("w") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-euc", shell], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
    served = Served(process, port, open_folder / "log")
    try:
        asking = [word.replace("8080", str(port)) for word in check]
        deadline = time.monotonic() + 120
        while subprocess.run(asking, env=environment, capture_output=True, check=False).returncode:
            assert process.poll() is None, (open_folder / "log").read_text()
            assert time.monotonic() < deadline
        ask_all(served)
        assert served.stop()[0] == 0
    finally:
        process.kill()
        process.communicate()
