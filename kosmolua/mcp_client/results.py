"""Converts the results of MCP servers to the values that scripts get."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kosmolua.errors import ApiError
from kosmolua.http.binary import Content
from kosmolua.http.multipart import OCTETS
from kosmolua.protocol import Json, decode

MAX_MESSAGE = 2_000
"""The maximum length of a server's text in the message of an error, in characters."""
MAX_BODY = 16 * 1024
"""The maximum length of a server's text that an error has besides its message, in characters."""


def of_tool(path: str, answer: Mapping[str, Any], *, wrapped: bool = False) -> Json:
    """Convert the result of a tool for a script: its structured content, else its only item, or a list, or None.

    ``wrapped`` says that the tool's schema declares an object with the only key ``result``, which is then returned.

    Raises:
        ApiError: The tool reported an error.
    """
    structured = answer.get("structuredContent")
    contents = answer.get("content") or []
    if answer.get("isError"):
        raise _failed(path, contents, structured)
    if structured is not None:
        is_wrapper = wrapped and isinstance(structured, dict) and structured.keys() == {"result"}
        value: Json = structured["result"] if is_wrapper else structured
        return value
    return _one_or_all([_content(each) for each in contents])


def of_resource(answer: Mapping[str, Any]) -> Json:
    """Return the content of a resource, or a list of several: text, decoded JSON, or a table for bytes."""
    return _one_or_all([_resource_content(each) for each in answer.get("contents", ())])


def of_prompt(answer: Mapping[str, Any]) -> Json:
    """Return a prompt as ``description`` and ``messages`` of ``role`` and ``content``."""
    messages = [
        {"role": each.get("role"), "content": _content(each.get("content", {}), decoded=False)}
        for each in answer.get("messages", ())
    ]
    return {"description": answer.get("description"), "messages": messages}


def _failed(path: str, contents: Sequence[Mapping[str, Any]], structured: Json) -> ApiError:
    text = "\n".join(str(each["text"]) for each in contents if each.get("type") == "text").strip()
    said = " ".join(text.split())[:MAX_MESSAGE] or "the tool failed without a message"
    body: Json = structured
    if body is None or len(json.dumps(body)) > MAX_BODY:
        body = _decoded(text) if len(text) <= MAX_BODY else text[:MAX_BODY]
    return ApiError(f"{path}: {said}", body=body or None)


def _one_or_all(values: list[Json]) -> Json:
    if len(values) == 1:
        return values[0]
    return values or None


def _content(content: Mapping[str, Any], *, decoded: bool = True) -> Json:
    """Convert one content item of a result."""
    kind = content.get("type")
    if kind == "text":
        return _decoded(content["text"]) if decoded else str(content["text"])
    if kind in ("image", "audio"):
        return _blob(content.get("data", ""), content.get("mimeType"))
    if kind == "resource":
        resource = content.get("resource", {})
        value = _resource_content(resource)
        about = {"uri": resource.get("uri")}
        return about | (value if isinstance(value, dict) and "blob" in resource else {"text": value})
    shown = {"uri": "uri", "name": "name", "title": "title", "description": "description", "size": "size"}
    return {key: content[wire] for key, wire in shown.items() if wire in content} | (
        {"content_type": content["mimeType"]} if "mimeType" in content else {}
    )


def _resource_content(content: Mapping[str, Any]) -> Json:
    kind = str(content.get("mimeType") or "")
    if "blob" in content:
        return _blob(content["blob"], kind)
    text = str(content.get("text", ""))
    return _decoded(text) if kind.partition(";")[0].endswith(("/json", "+json")) else text


def _blob(encoded: str, kind: str | None) -> Json:
    """Return binary content as ``content_type``, ``base64`` and ``bytes`` (the size)."""
    content = Content(encoded)
    return {"content_type": kind or OCTETS, "base64": content, "bytes": content.size}


def _decoded(text: str) -> Json:
    """Decode a JSON object or array; return other text, even ``420``, unchanged."""
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return decode(text)
    except (ValueError, RecursionError):
        return text
