"""What a plugin asks of its requests, through a whole run: limits of time and size, uploads, permissions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import pytest
from support.loopback import Loopback

from kosmolua import Limits, Runtime
from kosmolua.plugin import Api, Binary, Integration, Request, Response, Secret, Send

SLOW = 1.0
"""Seconds that the service takes for what is slow."""


@dataclass(frozen=True)
class Account:
    """One archive."""

    base_url: str
    api_key: Secret

    def open(self, send: Send) -> Box:
        return Box(Api(send, self.base_url, bearer=self.api_key), self.api_key)


@dataclass(frozen=True)
class Box:
    """What each function gets."""

    api: Api
    key: Secret


integration = Integration("archive", Account, about="Files of an archive.")


@integration.reads
def get_state(box: Box, /, *, seconds: Annotated[float, "How long it may take."]) -> dict:
    """Get the state, which takes long."""
    return box.api.get("/slow", timeout=seconds)


@integration.reads
def get_file(box: Box, /, *, size: Annotated[int, "In bytes."]) -> Binary:
    """Get a file."""
    return box.api.download("/file", query={"size": size})


@integration.writes
def add_file(box: Box, /, *, text: Annotated[str, "What is in it."]) -> dict:
    """Add a file."""
    return box.api.post("/files", multipart={"key": box.key, "file": ("a.txt", text, "text/plain")})


def serve(request: Request) -> Response:
    """Answer as the archive does; it repeats what it was sent."""
    if request.url.endswith("/slow"):
        time.sleep(SLOW)
        return Response(200, {}, b"{}")
    if request.url.endswith("/file"):
        return Response(200, {"Content-Type": "image/png"}, bytes(int(dict(request.query)["size"])))
    return Response(400, {}, json.dumps({"message": request.content.decode()}).encode())


@pytest.fixture
def archive() -> Iterator[Loopback]:
    with Loopback(serve) as service:
        yield service


def opened(archive: Loopback, limits: Limits) -> Runtime:
    """Return a runtime with one account of the archive."""
    account = {"base_url": archive.url, "api_key": "s3cret-key"}
    return Runtime({"archive": {"main": account}}, plugins=[integration], limits=limits, yes=True, environ={})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own", "of_the_call", "code"), [(0.2, 30.0, "network"), (30.0, 0.2, "timeout"), (30.0, 30.0, None)]
)
def test_a_timeout_within_the_limit_of_a_call(
    archive: Loopback, own: float, of_the_call: float, code: str | None
) -> None:
    """The earlier of the two ends the request; which it was is in the code."""
    script = f"local ok, e = pcall(app.integrations.archive.get_state, {own}); return not ok and e.code or nil"
    with opened(archive, Limits(call_timeout=of_the_call)) as runtime:
        outcome = runtime.run(script)
    assert outcome.error is None
    assert (outcome.result or [None])[0] == code


@pytest.mark.slow
def test_bytes_up_to_the_largest_result(archive: Loopback) -> None:
    """A file that fits is measured, one that fits in base64 can be read too, and a larger one ends the script."""
    with opened(archive, Limits(max_result=10_000)) as runtime:
        reads = runtime.run(
            "local f = app.integrations.archive.get_file(7000); return f.bytes, #base64.decode(f.base64)"
        )
        fits = runtime.run("return app.integrations.archive.get_file(10000).bytes")
        ends = [
            runtime.run(f"return app.integrations.archive.get_file{rest}").error
            for rest in ("(10001).bytes", "(10000).base64", "(10000)")
        ]
    assert reads.error is None
    assert reads.result == [7000, 7000]
    assert fits.error is None
    assert fits.result == [10_000]
    assert [(error.code, error.limit) for error in ends] == [("limit_exceeded", "result")] * 3


@pytest.mark.slow
def test_a_secret_of_a_form_comes_back_masked(archive: Loopback) -> None:
    """The service gets it, and what it repeats of it reaches no script."""
    with opened(archive, Limits()) as runtime:
        outcome = runtime.run("return select(2, pcall(app.integrations.archive.add_file, 'x')).message")
    assert b'name="key"\r\n\r\ns3cret-key\r\n' in archive.requests[0].content
    assert "s3cret" not in outcome.result[0]
    assert 'name="key" ***' in outcome.result[0]
