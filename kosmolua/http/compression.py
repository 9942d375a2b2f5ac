"""Decompression of an answer's body, piece by piece, so that its reader can stop at any size.

The HTTP library would decompress too, but some versions of it unpack a whole piece at once, however large it becomes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

ACCEPTED = "gzip, deflate"
"""The ``Accept-Encoding`` of a request."""
MAX_PIECE = 64 * 1024
"""Bytes that come out at a time."""
_GZIP_MAGIC = b"\x1f\x8b"


class UnknownCoding(Exception):
    """An answer is compressed in a way that no request accepts, or more than once."""


def decompressed(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield a body without its compression, at most :data:`MAX_PIECE` bytes at a time.

    Args:
        pieces: The compressed body.
        encoding: The answer's ``Content-Encoding``, or nothing.

    Raises:
        UnknownCoding: The encoding is not one of :data:`ACCEPTED`.
        zlib.error: The body is not what the encoding says.
    """
    coding = encoding.strip().lower()
    if coding in ("", "identity"):
        yield from pieces
        return
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise UnknownCoding(coding)
    inflate, members, held = None, 0, b""
    for piece in pieces:
        rest, held = held + piece, b""
        while rest:
            if inflate is None:
                if members and rest == _GZIP_MAGIC[:1]:
                    held = rest  # the next byte tells whether another member of a gzip file follows
                    break
                if members and (coding == "deflate" or not rest.startswith(_GZIP_MAGIC)):
                    return  # padding
                inflate = zlib.decompressobj(_window_bits(coding, rest))
                members += 1
            yield from _unpacked(inflate, rest)
            if not inflate.eof:
                break
            rest, inflate = inflate.unused_data, None


def _unpacked(inflate: zlib._Decompress, packed: bytes) -> Iterator[bytes]:
    """Yield what all of some input unpacks to, at most :data:`MAX_PIECE` bytes at a time."""
    is_full = True
    while (packed or is_full) and not inflate.eof:
        piece = inflate.decompress(packed, MAX_PIECE)
        packed, is_full = inflate.unconsumed_tail, len(piece) == MAX_PIECE
        yield piece


def _window_bits(coding: str, body: bytes) -> int:
    """Return zlib's ``wbits`` of a format: gzip, zlib, or deflate without a header, as some servers send it."""
    if coding != "deflate":
        return 16 + zlib.MAX_WBITS
    has_header = body[0] & 0x0F == zlib.DEFLATED and body[0] >> 4 <= zlib.MAX_WBITS - 8
    return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
