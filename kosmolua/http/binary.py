"""Bytes as scripts have them: in base64, with their media type and their number."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, TypedDict

from kosmolua.http.messages import Response
from kosmolua.http.multipart import OCTETS


class Binary(TypedDict):
    """An answer that is neither JSON nor text."""

    content_type: Annotated[str, "Their media type, without parameters."]
    base64: Annotated[str, "The bytes, in base64."]
    bytes: Annotated[int, "How many."]


def media_type(response: Response) -> str:
    """Return the media type of an answer in lower case and without parameters, or an empty string."""
    return (response.header("Content-Type") or "").partition(";")[0].strip().lower()


def binary(response: Response) -> Binary:
    """Return the body of an answer for a script."""
    return {
        "content_type": media_type(response) or OCTETS,
        "base64": b64encode(response.body).decode(),
        "bytes": len(response.body),
    }
