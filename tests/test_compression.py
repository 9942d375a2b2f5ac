"""Decompression: what comes out of a compressed answer, and what is refused."""

from __future__ import annotations

import gzip
import random
import socket
import zlib
from collections.abc import Iterator

import pytest
from support.rawserver import Step, answer, read_request, serving

from kosmolua.errors import NetworkError
from kosmolua.http.messages import Request, Response
from kosmolua.http.transport import Transport

BODY = random.Random(7).randbytes(100_000) + bytes(500_000)
SMALL = b"a few words, " * 20


def raw_deflate(body: bytes) -> bytes:
    """Return deflate without the header of zlib, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def in_chunks(body: bytes, size: int, encoding: str) -> Step:
    """Answer with a body in chunks of a size."""
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: {encoding}\r\n\r\n".encode()

    def chunks() -> Iterator[bytes]:
        for at in range(0, len(body), size):
            piece = body[at : at + size]
            yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"

    def step(connection: socket.socket, heard: list[bytes]) -> bool:
        read_request(connection, heard)
        connection.sendall(head + b"".join(chunks()) + b"0\r\n\r\n")
        return True

    return step


def received(step: Step) -> Response:
    """Return the answer to a request, as the transport gives it on."""
    with serving(step) as service:
        return Transport(backoff=lambda retry: 0.0).send(Request("GET", service.url))


CODINGS = {
    "gzip": ("gzip", gzip.compress),
    "in other letters": (" X-GZip ", gzip.compress),
    "two members": ("gzip", lambda body: gzip.compress(body[:100]) + gzip.compress(body[100:])),
    "padding": ("gzip", lambda body: gzip.compress(body) + bytes(100)),
    "zlib": ("deflate", zlib.compress),
    "raw": ("deflate", raw_deflate),
    "identity": ("identity", lambda body: body),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_comes_out_whole(coding: str) -> None:
    """By all codings that a request accepts, and in the variants that servers send."""
    encoding, pack = CODINGS[coding]
    assert received(answer(200, pack(BODY), Content_Encoding=encoding)).body == BODY


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("coding", CODINGS)
def test_pieces_of_any_size_are_joined(coding: str, size: int) -> None:
    """A chunk may end anywhere, also between two members, or inside the first bytes."""
    encoding, pack = CODINGS[coding]
    assert received(in_chunks(pack(SMALL), size, encoding)).body == SMALL


def test_an_empty_body_is_not_compressed() -> None:
    """It is empty, whatever its header says."""
    assert received(answer(200, b"", Content_Encoding="gzip")).body == b""


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "identity, gzip", "compress", "nonsense"])
def test_what_no_request_accepts_is_refused(encoding: str) -> None:
    """Compression in layers could hide a body of any size in an inner one."""
    with pytest.raises(NetworkError, match="compressed in a way that was not asked for"):
        received(answer(200, b"x", Content_Encoding=encoding))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_compressed_is_refused(encoding: str) -> None:
    """A body that does not hold what its encoding says is broken."""
    with pytest.raises(NetworkError, match="compression is broken"):
        received(answer(200, b"no gzip at all, and no deflate", Content_Encoding=encoding))
