"""A function that is started when it is needed, such as one of AWS Lambda: the handler is `lambda_handler.handler`.

BUNDLE says which bundle. It is loaded with the module, before the first event, and stays loaded for the next ones. An
event is what the function is invoked with, `{"texts": ["Run!"], "options": {"beam_size": 4}}`, or an HTTP request with
that as its body.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import s2s_runtime

model = s2s_runtime.load(os.environ.get("BUNDLE", Path(__file__).with_name("model.s2s")), workers=1)


def handler(event: dict[str, Any], context: object = None) -> dict[str, Any]:
    """Return the outputs of an event's texts; for an HTTP request, an answer with them, or with what is wrong."""
    if "requestContext" not in event:
        return decoded(event)
    try:
        status, content = 200, decoded(json.loads(body_of(event)))
    except (s2s_runtime.S2SError, TypeError, ValueError, KeyError) as error:
        status, content = 400, {"error": str(error)}
    headers = {"content-type": "application/json"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(content, ensure_ascii=False)}


def decoded(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the best output of each text."""
    return {"outputs": [result.text for result in model.generate(asked["texts"], **asked.get("options", {}))]}


def body_of(event: dict[str, Any]) -> str:
    """Return the text in a request, which the platform may have packed."""
    body: str = event.get("body") or ""
    return base64.b64decode(body).decode() if event.get("isBase64Encoded") else body
