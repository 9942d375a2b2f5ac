"""Bytes for scripts: a table with their media type and their number. The base64 is fetched when a script reads it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Annotated, TypedDict

from kosmolua.errors import BadArguments
from kosmolua.http.messages import Response
from kosmolua.http.multipart import OCTETS
from kosmolua.secret import Unshown


class Content(Unshown):
    """Bytes in base64. Scripts get a handle for them, and no text shows them."""

    __slots__ = ()

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self) // 4 * 3 - self[-2:].count("=")

    @property
    def shown(self) -> str:
        """The text shown in place of the bytes: their number, as in ``(120 bytes)``."""
        return f"({self.size:,} bytes)"


class _Bytes(TypedDict):
    content_type: Annotated[str, "The media type, without parameters."]
    base64: Annotated[str, "The bytes, in base64."]
    bytes: Annotated[int, "How many."]


class Binary(_Bytes, total=False):
    """Bytes: an answer that is neither JSON nor text, or a file for a function that takes one."""

    filename: Annotated[str, "The name of the file."]


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
    """Return the bytes of a file that a script passed, such as a download.

    Raises:
        BadArguments: The base64 is not valid.
    """
    try:
        return b64decode("".join(file["base64"].split()), validate=True)
    except (NotBase64, ValueError):
        raise BadArguments("the bytes are not valid base64") from None
