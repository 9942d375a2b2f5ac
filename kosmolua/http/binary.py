"""Binary content for scripts: a table with media type, size, and base64, which is fetched when a script reads it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Annotated, TypedDict

from kosmolua.errors import BadArguments
from kosmolua.http.messages import Response
from kosmolua.http.multipart import OCTETS
from kosmolua.secret import Redactor, Unshown

MAX_SHOWN = 60
"""How many of the first bytes of a content are shown."""


class Content(Unshown):
    """Bytes in base64, which stay in the host until a script reads them.

    Messages show only the size; approvals and records also a hash, by which other bytes of the same size differ, and
    the first bytes.
    """

    __slots__ = ()

    @property
    def size(self) -> int:
        """The number of bytes."""
        return (len(self) - self[-2:].count("=")) * 3 // 4

    @property
    def shown(self) -> str:
        """The size, as in ``(120 bytes)``."""
        return f"({self.size:,} bytes)"

    def shown_to(self, redactor: Redactor) -> str:
        """Return the size, the SHA-256 and, without a known secret, the first bytes: ``(4 bytes, SHA-256 9f86...,
        'test')``.
        """
        from hashlib import sha256

        try:
            content = b64decode(self)
        except ValueError:
            return self.shown
        said = f"{self.size:,} bytes, SHA-256 {sha256(content).hexdigest()}"
        if not content or redactor.knows(str(self)) or redactor.knows(content.decode("utf-8", "replace")):
            return f"({said})"
        return f"({said}, {repr(content[:MAX_SHOWN])[1:]}{'...' if len(content) > MAX_SHOWN else ''})"


class _Bytes(TypedDict):
    content_type: Annotated[str, "The media type, without parameters."]
    base64: Annotated[str, "The bytes, in base64."]
    bytes: Annotated[int, "How many."]


class Binary(_Bytes, total=False):
    """Binary content: an answer that is neither JSON nor text, or a file that a script passes to a function."""

    filename: Annotated[str, "The name of the file."]


def media_type(response: Response) -> str:
    """Return a response's media type in lower case, without parameters, or an empty string."""
    return (response.header("Content-Type") or "").partition(";")[0].strip().lower()


def binary(response: Response) -> Binary:
    """Return a response's body as the table that a script gets."""
    return {
        "content_type": media_type(response) or OCTETS,
        "base64": Content(b64encode(response.body).decode()),
        "bytes": len(response.body),
    }


def bytes_of(file: Binary) -> bytes:
    """Return the bytes of a file that a script passed; raise BadArguments if the base64 is not valid."""
    return decoded(file["base64"], "the bytes are not valid base64")


def decoded(text: object, problem: str, param: str | None = None) -> bytes:
    """Return the bytes of a text in base64, with spaces or not; raise BadArguments with the problem if it is none."""
    try:
        return b64decode("".join(str(text).split()), validate=True)
    except ValueError:
        raise BadArguments(problem, param=param) from None
