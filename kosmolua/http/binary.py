"""Bytes as scripts have them: a table with their media type and their number, whose base64 they read on demand."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Annotated, TypedDict

from kosmolua.errors import BadArguments
from kosmolua.http.messages import Response
from kosmolua.http.multipart import OCTETS
from kosmolua.secret import Unshown


class Content(Unshown):
    """Bytes in base64. Scripts have a handle of them, and nothing shows them."""

    __slots__ = ()

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self) // 4 * 3 - self[-2:].count("=")

    @property
    def shown(self) -> str:
        """Their number, such as ``(120 bytes)``."""
        return f"({self.size:,} bytes)"


class _Bytes(TypedDict):
    content_type: Annotated[str, "Their media type, without parameters."]
    base64: Annotated[str, "The bytes, in base64."]
    bytes: Annotated[int, "How many."]


class Binary(_Bytes, total=False):
    """Bytes: an answer that is neither JSON nor text, or a file for a function that takes one."""

    filename: Annotated[str, "What the file is called."]


def media_type(response: Response) -> str:
    """Return the media type of an answer in lower case and without parameters, or an empty string."""
    return (response.header("Content-Type") or "").partition(";")[0].strip().lower()


def binary(response: Response) -> Binary:
    """Return the body of an answer for a script."""
    return {
        "content_type": media_type(response) or OCTETS,
        "base64": Content(b64encode(response.body).decode()),
        "bytes": len(response.body),
    }


def bytes_of(file: Binary) -> bytes:
    """Return the bytes that a script passed, such as those of a download.

    Raises:
        BadArguments: Their base64 is not valid.
    """
    try:
        return b64decode("".join(file["base64"].split()), validate=True)
    except (NotBase64, ValueError):
        raise BadArguments("the bytes are not valid base64") from None
