"""The playground, which runs scripts against prepared replies, and the playback of recordings."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote, urlsplit

from kosmolua.broker.backends import Canned
from kosmolua.catalog.plugins import Plugins
from kosmolua.errors import CallError
from kosmolua.expressions import regex
from kosmolua.http.messages import Request, Response, Send
from kosmolua.protocol import Json
from kosmolua.runs import Outcome
from kosmolua.runtime import Runtime
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration, made_up
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.results import check
from kosmolua.schema.types import Type
from kosmolua.testing.simulators import answer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from kosmolua.runs import RunOptions

Reply: TypeAlias = "Json | Response | Exception | Callable[[Request], Reply]"
"""A service's answer: the JSON body of a response with status 200, a whole response, an exception to raise, or a
function that gets the request and returns any of these."""

Account: TypeAlias = Mapping[str, Any]
"""The settings of an account, as in a section of accounts.toml."""

_SLOT = regex(r"\{\w+\}")


class Playground:
    """Runs Lua scripts with one integration, without a network and without other integrations. All calls are allowed.

    A call fails with the code ``wrong_result`` if the function's result does not have the declared type. Additional
    keys in the result are allowed.

    Args:
        integration: The integration to test.
        replies: The service's answer to each method and path, such as ``("GET", "/notes/n-1")``. In
            ``("GET", "/notes/{id}")``, ``{id}`` matches any one part of a path. A reply matches a request if the path
            in the request, as it is or percent-decoded, ends with the path of the reply. If several replies match,
            their paths are compared part by part, the last parts first: fixed text is preferred to a name in braces.
        send: A function that returns the response to a request, to use instead of ``replies``. Without ``send`` and
            ``replies``, the simulator of the integration answers.
        accounts: The settings of each account, by the account's name. By default there is one account, ``default``.
            Required settings that are missing are made up from their types: ``api_key`` is ``made-up-api_key``,
            ``base_url`` is ``https://NAME.example``, and a setting of type Literal is its first choice.
    """

    outcome: Outcome
    """The outcome of the last run, with its output and its calls."""

    def __init__(
        self,
        integration: Integration,
        replies: Mapping[tuple[str, str], Reply] | None = None,
        *,
        send: Send | None = None,
        accounts: Mapping[str, Account] | None = None,
    ) -> None:
        self._backend = Canned(_answers_of(integration, replies, send))
        named = {name: _completed(integration, account) for name, account in (accounts or {"default": {}}).items()}
        self._runtime = Runtime(
            {integration.name: named},
            plugins=Plugins([_held_to_its_types(integration)], places=(), entry_points=dict),
            backend=self._backend,
            yes=True,
            allow=["*"],
            workers=1,
            environ={},
        )
        weakref.finalize(self, self._runtime.close)

    @staticmethod
    def from_recording(path: str | os.PathLike[str]) -> Playback:
        """Return a :class:`Playback` of the file that ``kosmolua run --record=FILE`` wrote. It needs no integration."""
        return Playback(path)

    def run(self, source: str, **options: Unpack[RunOptions]) -> Any:
        """Run a script and return the value that it returns: None if it returns nothing, a tuple for several values.

        Args:
            source: The Lua source of the script.
            options: Options of the run, as for :meth:`kosmolua.Runtime.run`.

        Raises:
            KosmoError: The script failed. If it ended because of a failed call, this is a :class:`kosmolua.CallError`.
        """
        self.outcome = self._runtime.run(source, **options)
        return _value_of(self.outcome)

    def call(self, path: str, args: Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """Call one function of the integration without Lua, and return its result.

        Args:
            path: The function: ``INTEGRATION.FUNCTION`` or ``INTEGRATION.ACCOUNT.FUNCTION``.
            args: The arguments by name, or in the order in which the function declares them.

        Raises:
            CallError: The call was refused, or it failed.
        """
        return self._runtime.call(path, args)

    @property
    def requests(self) -> list[Request]:
        """All requests that the integration has made in this playground, in order."""
        return self._backend.requests

    @property
    def lines(self) -> list[str]:
        """One line for each of :attr:`requests`, such as ``GET /v1/notes?limit=20``, with the path percent-decoded."""
        return [_line_of(request) for request in self.requests]


class Playback:
    """Runs the script of a recording, or another script, and answers the script's calls from the recording.

    Args:
        path: The file of the recording.

    Raises:
        ConfigError: The file cannot be read, or a line in it is damaged.
    """

    outcome: Outcome
    """The outcome of the last run, with its output and its calls."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from kosmolua.recordings.recording import read  # a simulation, which imports this package, needs none

        read(path)
        self._path = path
        self._runtime = Runtime({}, workers=1, environ={})
        weakref.finalize(self, self._runtime.close)

    def run(self, source: str | None = None, **options: Unpack[RunOptions]) -> Any:
        """Run a script and return the value that it returns: None if it returns nothing, a tuple for several values.

        Args:
            source: The Lua source of the script; by default the recorded script.
            options: Options of the run, as for :meth:`kosmolua.Runtime.run`. An option that is left out has its
                recorded value.

        Raises:
            KosmoError: The script failed. The code is ``diverged`` if the script asks for something that was not
                recorded.
        """
        self.outcome = self._runtime.replay(self._path, source, **options)
        return _value_of(self.outcome)


def _value_of(outcome: Outcome) -> Any:
    if outcome.error:
        raise outcome.error
    return tuple(outcome.result) if len(outcome.result) > 1 else next(iter(outcome.result), None)


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    """Return a reply for :class:`Playground` that answers each request with the next of several replies.

    Use it for a service that answers the same request differently each time. When the replies are used up, a further
    request fails.
    """
    left = iter(replies)

    def reply(request: Request) -> Reply:
        try:
            return next(left)
        except StopIteration:
            raise _no_reply(request, f"the {len(replies)} replies of in_turn are used up") from None

    return reply


def _answering(replies: Mapping[tuple[str, str], Reply], request: Request) -> Response:
    """Answer a request with the reply for its method and path, as :class:`Playground` describes."""
    fitting = [key for key in replies if _fits(key, request)]
    if not fitting:
        known = ", ".join(" ".join(key) for key in replies)
        raise _no_reply(request, f"there are replies for {known}" if known else "it was given no replies")
    reply = replies[max(fitting, key=_words_from_the_end)]
    while callable(reply):
        reply = reply(request)
    if isinstance(reply, Exception):
        raise reply
    return reply if isinstance(reply, Response) else answer(200, reply)


def _fits(key: tuple[str, str], request: Request) -> bool:
    method, path = key
    asked = urlsplit(request.url).path
    ending = re.compile("[^/]+".join(map(re.escape, _SLOT.split(path))) + r"\Z")
    return method == request.method and any(map(ending.search, (asked, unquote(asked))))


def _words_from_the_end(key: tuple[str, str]) -> list[bool]:
    """Return which parts of a reply's path are fixed text, the last part first: the greatest list is preferred."""
    return [not _SLOT.search(part) for part in reversed(key[1].strip("/").split("/"))]


def _no_reply(request: Request, why: str) -> CallError:
    return CallError("no_reply", f"The playground has no reply for {_line_of(request)}: {why}")


def _line_of(request: Request) -> str:
    query = "&".join(f"{name}={value}" for name, value in request.query)
    return f"{request.method} {unquote(urlsplit(request.url).path)}{'?' if query else ''}{query}"


def _held_to_its_types(integration: Integration) -> Integration:
    """Return a copy of an integration in which a function fails if its result does not have the declared type."""
    held = copy(integration)
    held.functions = integration.functions.changed(
        lambda function: (
            replace(function, handler=_checked(function, function.returns)) if function.returns else function
        )
    )
    return held


def _checked(function: Function, kind: Type) -> Callable[..., Any]:
    @wraps(function.handler)
    def checked(*opened: Any, **arguments: Any) -> Any:
        result = function.handler(*opened, **arguments)
        try:
            check(kind, result)
        except Mismatch as mismatch:
            where = f"its result{mismatch.where} {mismatch.problem}"
            raise CallError("wrong_result", f"{function.name} does not return what it declares: {where}") from None
        return result

    return checked


def _answers_of(
    integration: Integration, replies: Mapping[tuple[str, str], Reply] | None, send: Send | None
) -> Callable[[str], Send]:
    if send is None and replies is None and integration.simulate:
        return integration.simulate
    chosen = send or partial(_answering, replies or {})
    return lambda account: chosen


def _completed(integration: Integration, account: Account) -> Account:
    needed = (field for field in integration.account_fields if field.required)
    return {field.name: made_up(integration.name, field) for field in needed} | dict(account)
