"""Base64 and hashes for Lua scripts, computed by Python's C functions in the script's process."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from math import inf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

COPIES = 3
"""The largest number of copies of a text in Python's memory while the text is converted."""
MAX_PADDING = 2
BLOCK_SIZE = 64
"""The size of a block of SHA-256, in bytes."""
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_INNER, _OUTER = (bytes(code ^ mask for code in range(256)) for mask in (0x36, 0x5C))


def _hash(name: str, *modules: str) -> Any:
    """Return a hash function from the first of these built-in modules, else from ``hashlib``, which loads OpenSSL."""
    for module in modules:
        try:
            return getattr(__import__(module), name)
        except ImportError:
            continue
    import hashlib

    return getattr(hashlib, name)


_md5 = _hash("md5", "_md5")
_sha1 = _hash("sha1", "_sha1")
_sha256 = _hash("sha256", "_sha2", "_sha256")


def _encode(text: bytes) -> bytes:
    return b2a_base64(text, newline=False)


def _encode_for_url(text: bytes) -> bytes:
    return _encode(text).rstrip(b"=").translate(_TO_URL)


def _decode(text: bytes) -> bytes | None:
    """Decode base64 of either alphabet of RFC 4648, with white space and without padding, or return None."""
    digits = text.translate(_FROM_URL, b" \t\r\n")
    padded = len(digits)
    digits = digits.rstrip(b"=")
    if padded - len(digits) > MAX_PADDING or digits.translate(None, _DIGITS) or len(digits) % 4 == 1:
        return None
    return a2b_base64(digits + b"=" * (-len(digits) % 4))


def _hmac_sha256(text: bytes, key: bytes) -> bytes:
    """Return the HMAC (RFC 2104) with SHA-256, in hexadecimal."""
    key = (_sha256(key).digest() if len(key) > BLOCK_SIZE else key).ljust(BLOCK_SIZE, b"\0")
    inner = _sha256(key.translate(_INNER))
    inner.update(text)
    outer: str = _sha256(key.translate(_OUTER) + inner.digest()).hexdigest()
    return outer.encode()


def _hex(new: Any) -> Callable[[bytes], bytes]:
    def digest(text: bytes) -> bytes:
        said: str = new(text, usedforsecurity=False).hexdigest()
        return said.encode()

    return digest


_CODECS: dict[bytes, Callable[..., bytes | None]] = {
    b"encode": _encode,
    b"encode_for_url": _encode_for_url,
    b"decode": _decode,
    b"md5": _hex(_md5),
    b"sha1": _hex(_sha1),
    b"sha256": _hex(_sha256),
    b"hmac_sha256": _hmac_sha256,
}


def convert(name: bytes, text: bytes, *more: bytes, room: float = inf) -> bytes | None:
    """Encode, decode or hash a text by a key of ``_CODECS``; None if a text to decode is not valid.

    ``more`` are further arguments, such as the key of an HMAC.

    Raises:
        MemoryError: Copies of the text would need more than ``room`` bytes.
    """
    if COPIES * len(text) > room:
        raise MemoryError
    return _CODECS[name](text, *more)
