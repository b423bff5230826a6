"""The manifest for KServe, as far as it can be tried without a cluster: its fields, its command line, its probes."""

from __future__ import annotations

import asyncio
import copy
import importlib
import re
import shutil
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from places import FIXTURES, ROOT, TINY

import s2s_runtime

from .conftest import Served, serving

yaml = pytest.importorskip("yaml", reason="needs PyYAML, which `make test-platforms` installs")

OTHER = FIXTURES / "tiny-onehot.s2s"
IDS = [[1, 2, 3], [1, 4], [2], [3, 3, 1, 2]]  # which both bundles read


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The manifest as it stands in the examples."""
    content: dict[str, Any] = yaml.safe_load((ROOT / "examples/platforms/kserve.yaml").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def container(manifest: dict[str, Any]) -> dict[str, Any]:
    """The one container of its predictor."""
    [found] = manifest["spec"]["predictor"]["containers"]
    assert isinstance(found, dict)
    return found


def bring(volume: Path, bundle: Path, number: int) -> None:
    """Exchange what a volume holds as Kubernetes does it: a folder beside, and a symbolic link renamed onto another."""
    shutil.copytree(bundle, volume / f"..{number}" / "translator.s2s")
    (volume / "..data_tmp").symlink_to(f"..{number}")
    (volume / "..data_tmp").rename(volume / "..data")
    if not (volume / "translator.s2s").is_symlink():
        (volume / "translator.s2s").symlink_to("..data/translator.s2s")


@pytest.fixture
def started(container: dict[str, Any], tmp_path: Path) -> Iterator[Served]:
    """The container's command, on a volume of symbolic links and a port of its own, looking often for a new bundle."""
    [command] = container["command"]
    assert command == "s2s-serve"
    assert "--host=0.0.0.0" in container["args"]
    assert f"--port={container['ports'][0]['containerPort']}" in container["args"]
    [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "bundle"]
    (tmp_path / "volume").mkdir()
    bring(tmp_path / "volume", TINY, 1)
    words = [word.replace(mount["mountPath"], str(tmp_path / "volume")) for word in container["args"]]
    words = [re.sub("--watch=.*", "--watch=0.1", word) for word in words if not word.startswith(("--host", "--port"))]
    with serving(tmp_path / "log", *words) as served:
        yield served


def test_probes_ask_what_answers(container: dict[str, Any], started: Served) -> None:
    """Every probe's path answers 200 at the port where the container listens; the model has the manifest's name."""
    probes = [container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {probe["port"] for probe in probes} == {container["ports"][0]["containerPort"]}
    assert [started.ask(probe["path"]).status for probe in probes] == [200, 200, 200]
    assert started.ask("/v2/models/translator").status == 200


def test_it_ends_before_it_is_killed(manifest: dict[str, Any], started: Served) -> None:
    """What was accepted is answered within the time that Kubernetes gives, and the container ends with 0."""
    predictor = manifest["spec"]["predictor"]
    [grace] = [int(word.partition("=")[2]) for word in predictor["containers"][0]["args"] if "--grace" in word]
    assert grace < predictor["terminationGracePeriodSeconds"]
    assert started.ask("/generate", {"text": "abc"}).status == 200
    assert started.stop()[0] == 0


def test_a_volume_that_is_exchanged_is_taken_up(started: Served, tmp_path: Path) -> None:
    """While a bundle is exchanged behind its symbolic link, every request is answered, by the one or the other."""
    before, after = ([r.text for r in s2s_runtime.load(bundle).generate(IDS)] for bundle in (TINY, OTHER))
    assert before != after
    taken = threading.Event()
    seen: list[tuple[int, list[str]]] = []

    def go_on() -> None:
        for _ in range(5000):
            answer = started.ask("/generate", {"ids": IDS})
            seen.append((answer.status, [found["text"] for found in answer.content.get("results", [])]))
            if seen[-1][1] == after:
                taken.set()
                return

    client = threading.Thread(target=go_on)
    client.start()
    bring(tmp_path / "volume", OTHER, 2)
    shutil.rmtree(tmp_path / "volume" / "..1")
    client.join()
    assert taken.is_set()
    assert {status for status, _ in seen} == {200}
    assert all(texts in (before, after) for _, texts in seen)


def test_kserves_client_is_understood(started: Served) -> None:
    """The lines of the guide, which are KServe's client, get what `generate` gives."""
    pytest.importorskip("kserve", reason="needs KServe's client, which only `make test-platforms` installs")
    section = (ROOT / "docs/platforms.md").read_text(encoding="utf-8").partition("\n## KServe\n")[2]
    [code] = re.findall(r"^    from kserve import(?:.*\n(?:    .*\n|\n(?=    ))+)", section, re.MULTILINE)
    code = textwrap.dedent(code).replace(":8080", f":{started.port}")
    names: dict[str, Any] = {}
    exec("async def asked():\n" + textwrap.indent(code, "    ") + "    return answer", names)
    answer = asyncio.run(names["asked"]())
    [texts] = [output.as_numpy() for output in answer.outputs if output.name == "text"]
    expected = s2s_runtime.load(TINY).generate(["bad", "deed"], beam_size=2)
    assert [text.decode() if isinstance(text, bytes) else text for text in texts[:, 0]] == [r.text for r in expected]


def unknown_fields(content: Any, kind: str, where: str = "") -> list[str]:
    """Fields of a manifest that KServe's and Kubernetes' classes don't have, or have of another kind."""
    if many := re.fullmatch(r"list\[(.*)\]", kind):
        if not isinstance(content, list):
            return [f"{where}: {content!r} is no list"]
        return [wrong for i, one in enumerate(content) for wrong in unknown_fields(one, many[1], f"{where}[{i}]")]
    modules = (importlib.import_module(name) for name in ("kserve.models", "kubernetes.client.models"))
    found = next((getattr(module, kind) for module in modules if hasattr(module, kind)), None)
    if found is None:
        plain: dict[str, Any] = {"str": str, "int": int, "bool": bool, "object": object}
        expected = dict if kind.startswith("dict(") or kind.startswith("dict[") else plain.get(kind, object)
        return [] if isinstance(content, expected) else [f"{where}: {content!r} is no {kind}"]
    names = {found.attribute_map[name]: of for name, of in found.openapi_types.items()}
    return [
        wrong
        for name, value in content.items()
        for wrong in (
            unknown_fields(value, names[name], f"{where}.{name}") if name in names else [f"{where}.{name} is unknown"]
        )
    ]


def test_its_fields_are_kserves(manifest: dict[str, Any]) -> None:
    """Each field is one of KServe's own classes and of its kind; a field that is misspelt is found."""
    pytest.importorskip("kserve", reason="needs KServe's classes, which only `make test-platforms` installs")
    assert unknown_fields(manifest, "V1beta1InferenceService") == []
    changed = copy.deepcopy(manifest)
    changed["spec"]["predictor"]["containers"][0]["livenesProbe"] = {}
    found = unknown_fields(changed, "V1beta1InferenceService")
    assert found == [".spec.predictor.containers[0].livenesProbe is unknown"]


def test_its_pod_is_one_of_kubernetes(manifest: dict[str, Any]) -> None:
    """Containers, probes and volumes are as the schema of Kubernetes has them, with no field unknown to it."""
    validate = pytest.importorskip("kubernetes_validate", reason="`make test-platforms` installs it")
    predictor = manifest["spec"]["predictor"]
    names = ("containers", "volumes", "terminationGracePeriodSeconds")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "translator"}}
    pod["spec"] = {name: predictor[name] for name in names}
    validate.validate(pod, validate.latest_version(), strict=True)
