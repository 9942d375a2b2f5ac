"""Base64 and hashes of large texts: fast, and within the memory that the script may have."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kosmolua import LimitExceeded, Runtime
from kosmolua.limits import MIB
from kosmolua.sandbox.codecs import convert

LARGE = "local text = ('0123456789abcdef'):rep(1024 * 1024) "
"""A text of 16 MiB."""


@pytest.mark.slow
@given(st.binary(), st.binary())
def test_they_agree_with_pythons_library(text: bytes, key: bytes) -> None:
    """Whatever the bytes."""
    assert convert(b"encode", text) == b64encode(text)
    assert convert(b"encode_for_url", text) == urlsafe_b64encode(text).rstrip(b"=")
    assert convert(b"decode", b64encode(text)) == convert(b"decode", urlsafe_b64encode(text).rstrip(b"=")) == text
    for name in ("md5", "sha1", "sha256"):
        assert convert(name.encode(), text) == hashlib.new(name, text).hexdigest().encode()
    assert convert(b"hmac_sha256", text, key) == hmac.digest(key, text, "sha256").hex().encode()


@pytest.mark.slow
def test_large_texts_take_little_time() -> None:
    """Eight hashes of 16 MiB, and base64 there and back."""
    source = (
        LARGE
        + """
    for _ = 1, 4 do hash.md5(text) hash.sha256(text) end
    return hash.sha1(text), base64.decode(base64.encode(text)) == text
    """
    )
    with Runtime({}, environ={}) as runtime:
        outcome = runtime.run(source, memory=256 * MIB, cpu=10)
    assert outcome.ok, outcome.error
    assert outcome.result == [hashlib.sha1(b"0123456789abcdef" * MIB).hexdigest(), True]


@pytest.mark.parametrize("call", ["base64.encode(text)", "base64.decode(text)"])
def test_a_result_counts_as_memory(call: str) -> None:
    """A script that has no room for what it asks for ends by its limit, and cannot catch that."""
    with Runtime({}, environ={}) as runtime:
        outcome = runtime.run(LARGE + f"pcall(function() return {call} end) print('caught')", memory=40 * MIB)
    assert isinstance(outcome.error, LimitExceeded)
    assert outcome.error.limit == "memory"
    assert outcome.output == ""
