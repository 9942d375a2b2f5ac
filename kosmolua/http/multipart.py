"""Multipart bodies: forms with files (RFC 7578), related parts (RFC 2387). The boundary depends only on the content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from kosmolua.secret import Secret

OCTETS = "application/octet-stream"
"""The media type for bytes whose type is not known."""


class Part(NamedTuple):
    """One field or file of a form.

    Args:
        name: The name of the field.
        content: The content; a Secret is sent as UTF-8.
        content_type: The media type; empty for a plain field.
        filename: The name of the file; empty for a field.
    """

    name: str
    content: bytes | Secret
    content_type: str = ""
    filename: str = ""


@dataclass(frozen=True)
class Multipart:
    """A form with files, sent as ``multipart/form-data``, or parts of another ``kind`` of multipart, without names.

    Raises:
        ValueError: The media type of a part contains a line end or another control character.
    """

    parts: Sequence[Part]
    kind: str = "form-data"

    def __post_init__(self) -> None:
        for part in self.parts:
            if not part.content_type.isprintable():
                raise ValueError(f"{part.name}: {part.content_type!r} is not a media type")

    @cached_property
    def boundary(self) -> str:
        """The line between parts, the same for equal forms, whatever their secrets."""
        digest = sha256()
        for part in self.parts:
            digest.update(repr((part.name, part.filename, part.content_type)).encode())
            digest.update(b"" if isinstance(part.content, Secret) else part.content)
        return "kosmolua-" + digest.hexdigest()[:32]

    @property
    def content_type(self) -> str:
        """The ``Content-Type``, with the boundary."""
        return f"multipart/{self.kind}; boundary={self.boundary}"

    @property
    def secrets(self) -> Iterator[Secret]:
        return (part.content for part in self.parts if isinstance(part.content, Secret))

    def encode(self) -> bytes:
        """Return the body as it is sent, with secrets."""
        from urllib3.fields import RequestField
        from urllib3.filepost import encode_multipart_formdata

        fields = []
        for part in self.parts:
            content = part.content.reveal() if isinstance(part.content, Secret) else part.content
            field = RequestField(part.name, content, part.filename or None)
            field.make_multipart(content_type=part.content_type or None)
            if self.kind != "form-data":
                field.headers = {"Content-Type": part.content_type or "text/plain; charset=utf-8"}
            fields.append(field)
        return encode_multipart_formdata(fields, self.boundary)[0]
