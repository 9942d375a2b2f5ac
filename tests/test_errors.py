"""Errors: their parts, how the parts are joined, and what scripts and users see of them."""

from __future__ import annotations

import inspect
import json
import pickle

import pytest
from support.library import library

from kosmolua import errors
from kosmolua.errors import (
    ApiError,
    BadArguments,
    BadDocArguments,
    CallError,
    CallTimeout,
    Denied,
    KosmoError,
    NetworkError,
    NotConfigured,
    PluginError,
)
from kosmolua.http.client import Api
from kosmolua.http.errors import MAX_BODY
from kosmolua.http.messages import Request, Response
from kosmolua.secret import Secret
from kosmolua.testing import Playground, answer


def test_a_message_joins_the_parts() -> None:
    """What happened, what to do, whether anything was sent; the detail is for the user only."""
    error = Denied("lib.lend writes", hint="pass --yes", detail="accounts.toml")
    assert error.what == "lib.lend writes"
    assert error.hint == "pass --yes"
    assert error.sent == "Nothing was sent."
    assert error.detail == "accounts.toml"
    assert error.message == "lib.lend writes (pass --yes). Nothing was sent."
    assert str(error) == f"{error.message} [accounts.toml]"
    assert "accounts.toml" not in json.dumps(error.fields())
    assert error.report()["detail"] == "accounts.toml"


def test_a_second_hint_does_not_replace_the_first() -> None:
    """Both are in the message, and both are in the hint that a script reads."""
    error = BadArguments("m", hint="a")
    error.advise("b")
    assert error.message == "m (a; b). Nothing was sent."
    assert error.hint == error.fields()["hint"] == "a; b"


def test_a_hint_is_given_once() -> None:
    """Two layers may add the same hint."""
    error = NetworkError("m", hint="check before you retry")
    error.advise("check before you retry")
    assert error.message == "m (check before you retry)"


def test_lines_to_paste_stand_beside_the_message() -> None:
    """The message stays one line, and a later hint of one line still gets into it."""
    error = NotConfigured("no account", hint="[lib.work]\napi_key = '...'")
    assert error.message == "no account. Nothing was sent."
    error.advise("ask the user")
    assert error.message == "no account (ask the user). Nothing was sent."
    assert error.hint == "ask the user\n[lib.work]\napi_key = '...'"


def test_a_part_can_be_replaced_later() -> None:
    """No layer has to take a message apart."""
    error = BadArguments("m.", hint="a")
    error.what, error.sent = "the account cannot be used: m", ""
    assert str(error) == "the account cannot be used: m (a)"


def test_only_a_refused_call_says_that_nothing_was_sent() -> None:
    """The documentation functions send nothing at any time, so their errors do not say so."""
    assert BadDocArguments("m").message == "m"
    assert ApiError("m", status=500).message == "m"
    assert NotConfigured("m").message == "m. Nothing was sent."


@pytest.mark.parametrize(
    "error",
    [
        KosmoError("m", hint="a", detail="d"),
        PluginError("m", origin="x.py:1"),
        CallError("own", "m", param="p"),
        ApiError("m", status=429, body={"error": [1]}, location="https://x.example"),
        CallTimeout("lib.lend", 30),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling(error: KosmoError) -> None:
    """An error crosses to another process with all of its parts."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_a_timeout_of_a_call_can_be_caught() -> None:
    """It is a call's error like any other, and says if a retry makes sense."""
    fields = CallTimeout("lib.lend", 30, hint="ask for less", retryable=False).fields()
    assert fields["code"] == "timeout"
    assert fields["retryable"] is False
    assert fields["message"] == "lib.lend took longer than 30 s (ask for less)"


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Each class stands there, below its parent."""
    drawn: dict[int, str] = {}
    parents = {}
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]
        name = line.strip(" │├└─").partition(" ")[0]
        if isinstance(getattr(errors, name, None), type):
            depth = line.index(name)
            parents[name] = next((drawn[above] for above in sorted(drawn, reverse=True) if above < depth), None)
            drawn = {above: other for above, other in drawn.items() if above < depth} | {depth: name}
    found = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind)}
    assert parents == {name: None if name == "KosmoError" else kind.__base__.__name__ for name, kind in found.items()}


def failed(body: bytes, *, secret: str = "s3cret-of-nobody") -> ApiError:
    """Return the error for an answer with this body."""

    def send(request: Request) -> Response:
        return Response(422, {}, body)

    with pytest.raises(ApiError) as caught:
        Api(send, "https://x.example", headers={"Authorization": Secret(secret)}).get("/things")
    return caught.value


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b'{"error": {"code": "card_declined"}}', {"error": {"code": "card_declined"}}),
        (b"[1, null]", [1, None]),
        (b"plain words", "plain words"),
        (b"", None),
        (b" ", None),
    ],
)
def test_an_error_keeps_what_the_service_answered(body: bytes, kept: object) -> None:
    """Codes of the service are in there: JSON is decoded, anything else is text."""
    error = failed(body)
    assert error.body == kept
    assert error.fields().get("body") == kept


def test_a_long_answer_is_cut() -> None:
    """An error is no way around the limit on results."""
    assert failed(json.dumps(["x" * MAX_BODY]).encode()).body == '["' + "x" * (MAX_BODY - 2)


def test_an_answer_that_echoes_the_credential_is_redacted() -> None:
    """Neither whole nor cut in two does a secret reach the script."""
    secret = "sk_live_0123456789"
    assert failed(json.dumps({"key": secret}).encode(), secret=secret).body == {"key": "***"}
    long = "x" * (MAX_BODY - 5) + secret
    assert "sk_" not in str(failed(long.encode(), secret=secret).body)


def test_a_script_reads_the_answer_of_a_failed_call() -> None:
    """``err.body`` is a table."""
    play = Playground(library(), {("GET", "/books"): answer(400, {"error": {"code": "no_such_book"}})})
    script = "local _, err = pcall(app.integrations.library.list_books) return err.body.error.code, err.status"
    assert play.run(script) == ("no_such_book", 400)
