"""Binary content for scripts: a table with media type, size, and base64, which is fetched when a script reads it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from typing import Annotated, TypedDict

from kosmolua.errors import BadArguments
from kosmolua.http.messages import Response
from kosmolua.http.multipart import OCTETS
from kosmolua.secret import Redactor, Unshown

MAX_SHOWN = 60
"""How many of the first bytes of a content are shown."""


class Content(Unshown):
    """Bytes in base64. The host keeps this text, and sends it to a script only when the script reads it.

    Messages show only the size. Approvals and records also show a hash, by which other bytes of the same size differ,
    and the first bytes.
    """

    __slots__ = ()

    @property
    def size(self) -> int:
        """How many bytes the content has once it is decoded."""
        return len(self) // 4 * 3 - self[-2:].count("=")

    @property
    def shown(self) -> str:
        """The text to show in place of the content: its size, as in ``(120 bytes)``."""
        return f"({self.size:,} bytes)"

    def shown_to(self, redactor: Redactor) -> str:
        """Return the size, the SHA-256 and the first bytes, as in ``(4 bytes, SHA-256 9f86..., 'test')``.

        The first bytes are left out if the content has a secret that the redactor knows.
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
    """Return a response's media type in lower case, without parameters; an empty string if the response has none."""
    return (response.header("Content-Type") or "").partition(";")[0].strip().lower()


def binary(response: Response) -> Binary:
    """Return the body of a response as the table that a script gets: its media type, base64 and size."""
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
