"""POST /generate: the results of `Model.generate`, options by their one declaration, pieces as they come."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from places import FIXTURES, TINY

import s2s_runtime
from s2s_runtime import Model
from s2s_runtime.serving.options import ServingOptions
from s2s_runtime.serving.request_options import REQUEST_OPTIONS

from .conftest import Asker, ask_once, with_app

TEXTS = ["abc", "de", "edcba", "b", "aab", "cd", "ee", "dcb"] * 4
CHOICES: list[dict[str, Any]] = [
    {},
    {"beam_size": 3, "num_hypotheses": 2},
    {"return_scores": True, "min_length": 2},
    {"sampling_top_k": 3, "seed": 7},
    {"max_length_ratio": [1, 2], "beam_size": 2},
    {"prefix": ["A"] * len(TEXTS)},
    {"return_alternatives": True, "num_hypotheses": 2},
]


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_gives_what_generate_gives(tiny: Model, options: dict[str, Any]) -> None:
    """Whatever the options, and whether all texts come in one request or each in one of its own at the same time."""
    given = {name: tuple(value) if name == "max_length_ratio" else value for name, value in options.items()}
    expected = [result.to_dict() for result in tiny.generate(TEXTS, **given)]

    async def ask_all(ask: Asker) -> list[Any]:
        together = await ask("/generate", {"texts": TEXTS, **options})
        alone = [{**options, **({"prefix": ["A"]} if "prefix" in options else {}), "text": text} for text in TEXTS]
        each = await asyncio.gather(*(ask("/generate", request) for request in alone))
        return [together.content["results"], [answer.content["results"][0] for answer in each]]

    for results in with_app(ask_all, TINY):
        for result, wanted in zip(results, expected, strict=True):
            assert result.pop("text") == wanted["hypotheses"][0]["text"]
            _near(result, wanted)


def test_low_memory_reaches_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server is told is what its bundles are loaded with."""
    given: list[object] = []

    def loading(*place: Any, **how: Any) -> Model:
        given.append(how["low_memory"])
        return s2s_runtime.load(*place, **how)

    monkeypatch.setattr("s2s_runtime.serving.served_model.load", loading)
    for low_memory in (False, True):
        ask_once("/generate", {"text": "abc"}, TINY, settings={"options": ServingOptions(low_memory=low_memory)})
    assert given == [False, True]


def _near(got: Any, wanted: Any) -> None:
    """Equal, but for the last bits of scores, which depend on what is computed together."""
    if isinstance(wanted, dict):
        assert got.keys() == wanted.keys()
        for name in wanted:
            _near(got[name], wanted[name])
    elif isinstance(wanted, list):
        assert len(got) == len(wanted)
        for item, other in zip(got, wanted, strict=True):
            _near(item, other)
    else:
        assert got == (pytest.approx(wanted, abs=1e-4) if isinstance(wanted, float) else wanted)


def test_other_kinds_of_models() -> None:
    """Ids, one-hot models, several sources, and values."""
    sources, onehot = (s2s_runtime.load(FIXTURES / f"tiny-{name}.s2s") for name in ("sources", "onehot"))
    values = s2s_runtime.load(FIXTURES / "tiny-values.s2s")
    rows = [{"words": "abc", "tags": [1, 2, 1], "speaker": [0.5, 0.1, 0.2]}]
    floats = np.linspace(0, 1, 12, dtype=np.float32).reshape(2, 3, 2)

    async def ask_all(ask: Asker) -> list[Any]:
        return [
            (await ask("/generate", {"model": "tiny-sources", "sources": rows})).content["results"][0]["text"],
            (await ask("/generate", {"model": "tiny-onehot", "ids": [[1, 2]]})).content["results"][0]["text"],
            (await ask("/generate", {"model": "tiny-values", "values": floats.tolist(), "steps": 4})).content["values"],
        ]

    several, ids, predicted = with_app(ask_all)
    assert several == sources.generate(rows)[0].text
    assert ids == onehot.generate([[1, 2]])[0].text
    np.testing.assert_allclose(predicted, values.predict(floats, steps=4), atol=1e-5)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"text": "aXc"}, "input 0: unknown character 'X' at position 1 of 'aXc': "),
        ({"texts": ["ab", "aXc"]}, "input 1: unknown character 'X'"),
        ({"texts": ["ab", "aXc"], "prefix": ["A", "B"]}, "input 1: unknown character 'X'"),
        ({"text": "abc", "beamsize": 2}, "beamsize: no such option of a request; did you mean 'beam_size'?"),
        ({"text": "abc", "max_batch_size": 2}, "max_batch_size: no such option of a request"),
        ({"text": "abc", "callback": 2}, "callback: no such option of a request"),
        ({"text": "abc", "beam_size": 0}, "beam_size: expected an integer from 1 to 65536, got 0"),
        ({"text": "abc", "beam_size": 33}, "beam_size: expected at most 32, the limit of this server, got 33"),
        ({"text": "abc", "max_length": 5000}, "max_length: expected at most 1024, the limit of this server"),
        ({"text": "abc", "beam_size": 2, "patience": 1e9}, "beam_size * patience: expected at most 32"),
        ({"text": "a" * 2500}, "input 0: expected at most max_source_length = 2048 tokens, got 2501"),
        ({"text": 3}, "text: expected texts"),
        ({"texts": "abc"}, "texts: expected a list, got 'abc'"),
        (
            {"texts": ["abc"], "ids": []},
            'expected "text" (one text), "texts", "ids", "values" or "sources" (lists), got',
        ),
        ({}, 'expected "text" (one text), "texts"'),
        ({"text": "abc", "stream": 1}, "stream: expected true or false, got 1"),
        ({"texts": ["abc", "de"], "stream": True}, "stream: expected one text, got 2"),
        ({"text": "abc", "stream": True, "beam_size": 2}, "beam_size: expected 1 for stream"),
        ({"text": "aXc", "stream": True}, "unknown character 'X'"),
        ({"texts": ["a"] * 1025}, "expected at most 1024 texts in a request, got 1025; send several requests"),
        ([], "the request's body: expected an object, got []"),
    ],
)
def test_wrong_requests(request_: Any, message: str) -> None:
    """Each is a 400 with one line that says what was wrong and what was expected."""
    answer = ask_once("/generate", request_, TINY)
    assert answer.status == 400
    assert message in answer.content["error"]
    assert "\n" not in answer.content["error"]


def test_options_that_the_model_refuses_leave_nothing_behind() -> None:
    """However many there are: each is a 400, and the others' requests are answered after them."""

    async def ask_all(ask: Asker) -> list[Any]:
        wrong = [{"text": "abc", "suppress_tokens": [f"no{i}"]} for i in range(20)]
        refused = [await ask("/generate", request) for request in wrong]
        return [
            *refused,
            await ask("/generate", {"text": "abc"}),
            await ask("/generate", {"text": "abc", "beam_size": 2}),
        ]

    *refused, plain, beam = with_app(ask_all, TINY)
    assert [answer.status for answer in refused] == [400] * 20
    assert [plain.status, beam.status] == [200, 200]


def test_half_a_character_is_told_as_it_came() -> None:
    """UTF-8 can't hold it; the answer is JSON all the same."""

    async def ask_it(ask: Asker) -> Any:
        return await ask("/generate", body=b'{"text": "abc", "\\ud800": 1}')

    answer = with_app(ask_it, TINY)
    assert answer.status == 400
    assert "no such option of a request" in answer.content["error"]


def test_bodies_that_are_no_json() -> None:
    """Broken, not UTF-8, nested beyond reading: a 400 each."""

    async def ask_all(ask: Asker) -> list[Any]:
        bodies = [b"no JSON", b"\xff\xfe", b"[" * 100_000, b'{"text": 1' + b"0" * 5000 + b"}"]
        return [await ask("/generate", body=body) for body in bodies]

    answers = with_app(ask_all, TINY)
    assert [answer.status for answer in answers] == [400] * 4
    assert all(answer.content["error"].startswith("expected JSON: ") for answer in answers)


def test_several_models_are_named() -> None:
    """With several models a request has to say which; the error lists them."""
    for request in ({"text": "abc"}, {"text": "abc", "model": "x"}):
        answer = ask_once("/generate", request)
        assert (answer.status, answer.content["error"].split(", got ")[0]) == (
            404,
            "model: expected one of tiny, tiny-onehot, tiny-values, tiny-sources",
        )


def test_streams_are_the_text_in_pieces(tiny: Model) -> None:
    """Pieces as server-sent events, joined the text of `generate`, which the last event repeats."""
    answer = ask_once("/generate", {"text": "abcde", "stream": True}, TINY)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *pieces, last = answer.body.decode().removesuffix("\n\n").split("\n\n")
    assert (
        "".join(json.loads(piece.removeprefix("data: "))["text"] for piece in pieces)
        == tiny.generate(["abcde"])[0].text
    )
    assert last.startswith("event: done\ndata: ")
    assert json.loads(last.partition("data: ")[2]) == {"text": tiny.generate(["abcde"])[0].text}
    assert len(pieces) > 1


def test_the_server_has_defaults(tiny: Model) -> None:
    """Options of requests that don't give them; a request's own count more."""
    expected = [tiny.generate(["edcba"], beam_size=beams)[0].to_dict() for beams in (4, 1)]
    given = [{"text": "edcba"}, {"text": "edcba", "beam_size": 1}]

    async def ask_all(ask: Asker) -> list[Any]:
        return [(await ask("/generate", request)).content["results"][0] for request in given]

    for result, wanted in zip(with_app(ask_all, TINY, defaults={"beam_size": 4}), expected, strict=True):
        assert result["hypotheses"][0]["ids"] == wanted["hypotheses"][0]["ids"]  # type: ignore[index]
        assert ("score" in result["hypotheses"][0]) == ("score" in wanted["hypotheses"][0])  # type: ignore[index]
    with pytest.raises(s2s_runtime.OptionError, match="beam_size: expected at most 3, the limit of this server"):
        ask_once("/v2", None, TINY, settings={"defaults": {"beam_size": 4}, "options": ServingOptions(max_beams=3)})


def test_the_page_describes_every_option() -> None:
    """OpenAPI has each option that a request may give, with type, bounds and meaning, by its declaration."""
    schema = ask_once("/openapi.json", None, TINY).content
    body = schema["paths"]["/generate"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(REQUEST_OPTIONS) <= set(body["properties"])
    assert all(body["properties"][name]["description"] for name in REQUEST_OPTIONS)
    assert body["properties"]["beam_size"]["minimum"] == 1
    assert body["properties"]["engine"]["enum"] == ["auto", "graph", "steps"]
    assert not {"callback", "cancel", "allowed_next", "on_error"} & set(body["properties"])
    parameters = schema["paths"]["/v2/models/{model}/infer"]["post"]["requestBody"]["content"]["application/json"]
    assert set(parameters["schema"]["properties"]["parameters"]["properties"]) == set(REQUEST_OPTIONS)
    assert ask_once("/docs", None, TINY).status == 200
