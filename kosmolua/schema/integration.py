"""An integration: a named set of functions, the fields of its accounts, and its simulator."""

from __future__ import annotations

import dataclasses
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, TypeVar, get_args, get_origin, overload

from kosmolua.errors import PluginError
from kosmolua.expressions import regex
from kosmolua.http.auth import OAuth2
from kosmolua.http.messages import Send
from kosmolua.plugin_files import files_of
from kosmolua.protocol import Json
from kosmolua.schema.annotations import Uncarriable, sentence, type_of
from kosmolua.schema.arguments import REQUIRED
from kosmolua.schema.effects import Effect
from kosmolua.schema.function import Before, Function, Undo, read_function, with_declared
from kosmolua.schema.functions import Functions, More
from kosmolua.schema.labels import Labelled, Labels
from kosmolua.schema.names import FLAT, ROOT, objection_to_integration, qualified
from kosmolua.schema.types import Choice, List, Record, Scalar, Type, Union
from kosmolua.secret import Secret

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from kosmolua.schema.sessions import SessionRule

_Handler = TypeVar("_Handler", bound=Callable[..., Any])
_Simulator = TypeVar("_Simulator", bound=Callable[[str], Send])
_Identifier = TypeVar("_Identifier", bound=Callable[[Any], str])
_Namer = TypeVar("_Namer", bound=Callable[[Any, str], str])


_collects_mistakes: ContextVar[bool] = ContextVar("collects_mistakes", default=False)


@contextmanager
def collected_mistakes() -> Iterator[None]:
    """Make integrations that this thread creates collect their mistakes in ``mistakes``, not raise the first."""
    token = _collects_mistakes.set(True)
    try:
        yield
    finally:
        _collects_mistakes.reset(token)


class Account(Protocol):
    """A plugin's account class: fields for the settings, and ``open``."""

    def open(self, send: Send) -> Any:
        """Return the opened account, the first argument of every function. It sends requests with ``send`` alone."""


class AccountField(NamedTuple):
    """A key in an account's section of accounts.toml.

    Args:
        name: The key.
        about: One sentence that describes it.
        secret: Whether the value is a credential, which can be read from a source such as an environment variable.
        type: The type of the value; string for a credential.
        default: The default in the account class, or :data:`REQUIRED`.
        many: Whether the value is a table of credentials by name, such as environment variables of an MCP server.
        login: The OAuth login that can provide the value, or None.
    """

    name: str
    about: str
    secret: bool
    type: Type
    default: object = REQUIRED
    many: bool = False
    login: OAuth2 | None = None

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


class Declared(Labelled, total=False):
    """What the author of a plugin declares about a write.

    When a run is resumed that was killed during a write, nobody knows whether the write was done. With one of the first
    two keys, no person has to find out. The others show what the write changes, and take it back.

    ``idempotency`` is the header in which the service takes a key, such as ``Idempotency-Key``. The service must carry
    out requests with equal keys only once. The write is then sent again, with the same key.

    ``was_done`` is a function with the same signature that only reads. It returns the result of the write, or None if
    the write was not done. For a write without a result, it returns True if the write was done.

    ``before`` is a function of the arguments, which are a mapping by name. It returns the read whose answer shows what
    the write is about to change, as the name of a function and its arguments, or None if nothing is to be read.

    ``undo`` is a function of the arguments, of the answer to ``before``, and of the result. The answer is None if there
    was nothing yet (status 404) or nothing to read. It returns the calls that take the write back, in order, as a list
    of names and arguments; or a sentence that says what is lost. If it is always lost, ``undo`` is that sentence.

    ``assume`` says what a plan assumes of the outcome, so that a script that waits for it goes on: the fields of later
    reads that take the result of the write, or share an argument with it, as in ``{"deploy.status": "live"}``.
    """

    idempotency: str | None
    was_done: Callable[..., Any] | None
    before: Before | None
    undo: Undo | str | None
    assume: Mapping[str, Json] | None


class Extension(NamedTuple):
    """The OpenAPI document that extends an integration, with the parameters of :meth:`Integration.extend`."""

    file: str
    api: Callable[[Any], Any]
    supplies: Mapping[str, Callable[[Any], Any]]
    declared: Mapping[str, Declared]


class Integration:
    """A service that scripts can use: its functions, which scripts find in ``app.integrations.NAME``, and its accounts.

    Args:
        name: The name in Lua and in accounts.toml, in lower case.
        account: A dataclass with a docstring, a field for each setting, and a method ``open(send)``.
        about: One sentence for the list of integrations.
        prefix: The beginning of full names: ``render`` makes ``render_list_services``. The default is the name.
        words: Synonyms for searches of the documentation. Each maps to the word that the functions use, as in
            ``{"redis": "key_value"}``.
        root: The table in ``app`` that contains the integration, such as ``mcp``. Plugins do not pass this.
        fields: The fields of an account if no class declares them. ``account`` is then a function that takes their
            values by name. Plugins do not pass this.
        more: Functions that are read on first use. Plugins do not pass this.
        labels: Who can write what functions return, and where they send it, by patterns of their names. The first that
            fits applies, where the function itself declares nothing.

    Raises:
        PluginError: The name cannot be used in Lua, or something is missing in the account class.
    """

    def __init__(
        self,
        name: str,
        account: Callable[..., Account],
        *,
        about: str,
        prefix: str | None = None,
        words: Mapping[str, str] | None = None,
        root: str = ROOT,
        fields: Iterable[AccountField] | None = None,
        more: More | None = None,
        labels: Mapping[str, Labels] | None = None,
    ) -> None:
        frame = sys._getframe(1)
        self.origin = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        self.mistakes: list[PluginError] = []
        if objection := objection_to_integration(name, root):
            self._report(PluginError(f"an integration cannot be called {name!r}", origin=self.origin, hint=objection))
        self.root = root
        self.name = qualified(root, name)
        self.about = about
        self.prefix = name if prefix is None else prefix
        self.words = dict(words or {})
        self.labels = dict(labels or {})
        self.account = account
        self.account_fields: tuple[AccountField, ...] = tuple(fields or ())
        try:
            if fields is None:
                self.account_fields = _read_fields(account, self.origin)
        except PluginError as error:
            self._report(error)
        self.functions = Functions(more=more)
        self._whole: Integration | None = None
        self.broken: dict[str, PluginError] = {}
        """The functions that cannot be called, by name, each with the reason. Only the user's own scripts have some."""
        self.extension: Extension | None = None
        self.simulate: Callable[[str], Send] | None = None
        self.carrier: Callable[[str], Any] | None = None
        """The function that takes the name of an account and returns the backend for its requests; None for HTTP."""
        self.is_current: Callable[[], bool] = lambda: True
        """Returns False if the functions may have changed since they were read, as those of a server may."""
        self.session: SessionRule | None = None
        """How functions log in and out, for sessions; None if there are none."""
        self.identify: Callable[[Any], str] | None = None
        self.address: Callable[[Mapping[str, Any]], str] | None = None
        """The function that takes an account's section of the accounts file and returns the base URL of its service.

        None if there is no such function. The addresses of a login can be relative to this URL.
        """
        self.naming: dict[str, Callable[[Any, str], str]] = {}

    @property
    def token_field(self) -> str:
        """The field of the account that has its token: that of a login, or else the first secret; empty if none is."""
        fields = sorted((each for each in self.account_fields if each.secret), key=lambda each: not each.login)
        return fields[0].name if fields else ""

    @property
    def is_flat(self) -> bool:
        """True if the integration is a root itself, which has no accounts, as the user's scripts are."""
        return self.root in FLAT

    def mentions(self, text: str) -> bool:
        """Return True if a text is in the plugin's code, as a code of its own errors is, or if the code is unknown."""
        if self.is_flat:
            return True
        try:
            files = files_of([self.origin.rpartition(":")[0]])
            whole = re.compile(f"[\"']{re.escape(text)}[\"']")
            code = [Path(file).read_text("utf-8") for file in files or () if file.endswith(".py")]
        except (OSError, UnicodeError):
            return True
        return not code or any(map(whole.search, code))

    def __repr__(self) -> str:
        return f"Integration({self.name!r}, {len(self.functions.own)} functions)"

    @overload
    def reads(self, handler: _Handler) -> _Handler: ...

    @overload
    def reads(self, **labels: Unpack[Labelled]) -> Callable[[_Handler], _Handler]: ...

    def reads(
        self, handler: _Handler | None = None, **labels: Unpack[Labelled]
    ) -> _Handler | Callable[[_Handler], _Handler]:
        """Decorate a Python function that changes nothing, so that scripts can call it.

        Args:
            handler: The function, if the decorator has no parameters.
            labels: Who can write what it returns, see :class:`kosmolua.schema.labels.Labelled`.
        """
        return self._registering("read", handler, labels)

    @overload
    def writes(self, handler: _Handler) -> _Handler: ...

    @overload
    def writes(self, **declared: Unpack[Declared]) -> Callable[[_Handler], _Handler]: ...

    def writes(
        self, handler: _Handler | None = None, **declared: Unpack[Declared]
    ) -> _Handler | Callable[[_Handler], _Handler]:
        """Decorate a Python function that creates or changes something, so that scripts can call it.

        Args:
            handler: The function, if the decorator has no parameters.
            declared: What is known about the write, see :class:`Declared`.
        """
        return self._registering("write", handler, declared)

    @overload
    def destroys(self, handler: _Handler) -> _Handler: ...

    @overload
    def destroys(self, **declared: Unpack[Declared]) -> Callable[[_Handler], _Handler]: ...

    def destroys(
        self, handler: _Handler | None = None, **declared: Unpack[Declared]
    ) -> _Handler | Callable[[_Handler], _Handler]:
        """Decorate a Python function that does something irreversible, so that scripts can call it.

        Examples are functions that delete something, or replace all of it. The parameters are those of :meth:`writes`.
        """
        return self._registering("destroy", handler, declared)

    def simulator(self, simulate: _Simulator) -> _Simulator:
        """Decorate the function that makes simulators, which answer requests in place of the service.

        With ``--simulate``, the decorated function is called once for each account, with the account's name. It returns
        the account's simulator: a function that takes a request and returns the response.
        """
        self.simulate = simulate
        return simulate

    def identifies(self, identify: _Identifier) -> _Identifier:
        """Decorate the function that ``kosmolua accounts check`` calls to find out who owns an account.

        The function takes the opened account, makes one cheap request, and returns a text such as
        ``ann@example.com (tea-...)``.
        """
        self.identify = identify
        return identify

    def names(self, *parameters: str) -> Callable[[_Namer], _Namer]:
        """Return the decorator for a function that looks up the name for an id.

        The name is shown to a person who is asked to approve a call. The function takes the opened account and the id,
        makes one cheap request, and returns the name. It is called only if a person is asked, and once for each id in a
        run. If it fails, the person sees only the id.

        Args:
            parameters: The names of the parameters that take such ids, in any function, such as ``service_id``.
        """

        def register(name_of: _Namer) -> _Namer:
            self.naming |= dict.fromkeys(parameters, name_of)
            return name_of

        return register

    def extend(
        self,
        file: str,
        *,
        api: Callable[[Any], Any],
        supplies: Mapping[str, Callable[[Any], Any]] | None = None,
        declared: Mapping[str, Declared] | None = None,
    ) -> None:
        """Add the operations of an OpenAPI document as functions, except those that registered functions cover already.

        The added functions use the same accounts and permissions. A registered function covers the operation of the
        same name. It also covers the operations that name it as ``covered_by`` in the overlay ``openapi.toml``.

        Args:
            file: The plugin's ``__file__``. ``openapi.json`` and ``openapi.toml`` are in the same folder.
            api: A function that is called with the opened account, and returns the client that sends the requests.
            supplies: Arguments that calls can leave out although the document requires them. Each name maps to a
                function that is called with the opened account and returns the value.
            declared: What is known about writes of the document, by the names of their functions.
        """
        self.extension = Extension(file, api, dict(supplies or {}), dict(declared or {}))

    def narrowed(self, fits: Callable[[str], bool]) -> Integration:
        """Return a copy with the functions whose paths fit. Names of the others are still known, for permissions."""
        other = copy(self)
        fitting = [name for name in self.functions if fits(f"{self.name}.{name}")]
        other.functions = Functions({name: self.functions[name] for name in fitting})
        other._whole = self
        return other

    @property
    def whole(self) -> Integration:
        """The integration of which this one has a part of the functions; itself if it has all."""
        return self._whole or self

    @property
    def aliases(self) -> dict[str, str]:
        return {function.full_name: name for name, function in self.functions.own.items() if function.full_name != name}

    def spellings(self) -> Iterator[str]:
        """Yield the short and the full name of every function of the whole, without reading any."""
        for name in self.whole.functions:
            yield name
            if self.prefix:
                yield f"{self.prefix}_{name}"

    def short(self, name: str) -> str | None:
        """Return the short name for a short or full name, or None, without reading the function."""
        if name in self.functions:
            return name
        plain = name.removeprefix(f"{self.prefix}_") if self.prefix else name
        return self.aliases.get(name) or (plain if plain != name and plain in self.functions else None)

    def function(self, name: str) -> Function | None:
        """Return a function by its short or full name, or None."""
        short = self.short(name)
        return self.functions.get(short) if short else None

    def variable(self, field: AccountField) -> str:
        """Return the environment variable that can hold an account's field, such as ``RENDER_API_KEY``."""
        return f"{self.prefix or self.name}_{field.name}".replace(".", "_").upper()

    def _registering(
        self, effect: Effect, handler: _Handler | None, declared: Mapping[str, Any]
    ) -> _Handler | Callable[[_Handler], _Handler]:
        def register(handler: _Handler) -> _Handler:
            return self._register(handler, effect, **declared)

        return register(handler) if handler else register

    def _register(self, handler: _Handler, effect: Effect, **more: Any) -> _Handler:
        try:
            function = with_declared(read_function(handler, effect, self.prefix), **more)
        except PluginError as error:
            self._report(error)
            return handler
        taken = {*self.functions.own, *self.aliases}
        if function.name in taken or function.full_name in taken:
            self._report(PluginError(f"{self.name} has two functions named {function.name}", origin=function.origin))
        self.functions.own[function.name] = function
        return handler

    def _report(self, mistake: PluginError) -> None:
        """Raise a mistake or, within :func:`collected_mistakes`, collect it."""
        if not _collects_mistakes.get():
            raise mistake
        self.mistakes.append(mistake)


def _read_fields(account: Any, origin: str) -> tuple[AccountField, ...]:
    name = getattr(account, "__name__", repr(account))
    if not dataclasses.is_dataclass(account):
        raise PluginError(
            f"the account class {name} is not a dataclass", origin=origin, hint="decorate it with @dataclass"
        )
    if not callable(getattr(account, "open", None)):
        raise PluginError(f"the account class {name} has no method open(self, send)", origin=origin)
    annotated = {field.name for field in dataclasses.fields(account)}
    for key, value in vars(account).items():
        plain = not key.startswith("_") and isinstance(value, (str, int, float, bool))
        if plain and key not in annotated:
            raise PluginError(f"the account field {key} of {name} has no type annotation", origin=origin)
    hints = typing.get_type_hints(account, include_extras=True)
    fields = [field for field in dataclasses.fields(account) if field.init]
    return tuple(_read_field(field, hints[field.name], name, origin) for field in fields)


def _read_field(field: dataclasses.Field[Any], annotation: object, owner: str, origin: str) -> AccountField:
    about = sentence(annotation)
    bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
    secret = bare is Secret or Secret in get_args(bare)
    many = secret and get_origin(bare) is dict
    default: object = REQUIRED if field.default is dataclasses.MISSING else field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    try:
        kind = type_of(dict[str, str] if many else str if secret else annotation)
        extras = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
        login = next((extra for extra in extras if isinstance(extra, OAuth2)), None)
        return AccountField(field.name, about, secret, kind, default, many, login)
    except Uncarriable as error:
        raise PluginError(f"account field {field.name} of {owner}: {error}", origin=origin, hint=error.hint) from None


_ADDRESS = regex(r"(url|(^|_)uri|endpoint)$", re.IGNORECASE)


def made_up(owner: str, field: AccountField) -> object:
    """Return a made-up value for an account's field, a credential as plain text, for simulations and tests."""
    return placeholder(owner, field, f"made-up-{field.name}")


def placeholder(owner: str, field: AccountField, text: str = "...") -> object:
    """Return an example of a valid value: a URL made of ``owner`` for a URL, ``text`` for other strings."""
    address = f"https://{owner.replace('_', '-')}.example"
    return _fitting(field.type, address if _ADDRESS.search(field.name) else text)


def _fitting(kind: Type, text: str) -> object:
    if isinstance(kind, Choice):
        return kind.values[0]
    if isinstance(kind, Record):
        return {key: _fitting(kind.fields[key], text) for key in kind.fields if key in kind.required}
    if isinstance(kind, Union):
        return _fitting(kind.members[0], text)
    if isinstance(kind, Scalar):
        examples = (bound.example for bound in kind.bounds if bound.example is not None)
        return next(examples, {"integer": 1, "number": 1.0, "boolean": False}.get(kind.kind, text))
    return [] if isinstance(kind, List) else {}
