"""The options of a runtime, and whether each can be sent to other processes; and the context of one run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, ParamSpec, TypeVar

from kosmolua.folders import expanded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Concatenate

    from typing_extensions import Self, dataclass_transform

    from kosmolua.broker.backends import Backend
    from kosmolua.broker.patterns import Patterns
    from kosmolua.broker.secrets import Given
    from kosmolua.broker.tenancy import Tenancy
    from kosmolua.calls.approvals import Approve, Decided
    from kosmolua.calls.contents import Contents
    from kosmolua.calls.records import Watch, Write
    from kosmolua.catalog.plugins import Named, Plugins
    from kosmolua.clock import Clock
    from kosmolua.flow.memory import SessionMemory
    from kosmolua.limits import Limits
    from kosmolua.lua.site import Site
    from kosmolua.secret import Secret
    from kosmolua.stores.store import Store
else:

    def dataclass_transform(**_: object) -> Any:
        return lambda options: options


DEFAULT_WORKERS = 32
_Parameters = ParamSpec("_Parameters")
_Object = TypeVar("_Object")
_Options = TypeVar("_Options")


def _ignore(_: object) -> None:
    return


def _plain(name: str, value: Any) -> Any:
    """Return a value that consists of texts, numbers, lists and tables. Refuse any other."""
    if isinstance(value, Mapping):
        return {key: _plain(name, each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_plain(name, each) for each in value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"the option {name} is an object, so it stays in this process: open the runtime without it")


def _absolute(name: str, value: Any) -> Any:
    """Return a path with its folder, since the other process can have another current folder."""
    return os.path.abspath(expanded(value)) if isinstance(value, (str, os.PathLike)) else value


def _accounts_file(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        raise TypeError(
            "accounts that are passed as a table could contain credentials, so they stay in this process: "
            "pass the path of a file"
        )
    return _absolute(name, value)


def _plugin_files(name: str, value: Any) -> tuple[str, ...]:
    given = [value] if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(each, (str, os.PathLike)) for each in given):
        raise TypeError(
            "an integration that is passed as an object cannot be sent to another process: "
            "pass the path of its file in plugins"
        )
    return tuple(_absolute(name, each) for each in given)


def _secret_sources(name: str, value: Any) -> dict[str, dict[str, Any]]:
    from kosmolua.accounts.sources import source_of
    from kosmolua.secret import Secret

    sources = {}
    for secret, given in (value or {}).items():
        if isinstance(given, Secret):
            raise TypeError(
                f"the secret {secret} is passed as its text, so it stays in this process: "
                "pass the name of its source, such as env:NAME"
            )
        source = source_of(given) if isinstance(given, str) else dict(given)
        sources[secret] = source | {"file": _absolute(name, source["file"])} if "file" in source else source
    return sources


def _staying(problem: str, *, empty: object = None) -> Callable[[str, Any], None]:
    def refuse(name: str, value: Any) -> None:
        if value is not None and value != empty:
            raise TypeError(problem)

    return refuse


class OptionRule(NamedTuple):
    """How an option is treated.

    Args:
        default: The value if none is given.
        travel: A function from the option's name and value to the value that another process gets. It raises TypeError
            with the reason if the value cannot leave this process. None if other processes do without the option.
        kw_only: Whether the option must be passed by name.
    """

    default: Any
    travel: Callable[[str, Any], Any] | None = _plain
    kw_only: bool = True


def option(*, default: Any, travel: Callable[[str, Any], Any] | None, kw_only: bool = True) -> Any:
    """Declare an option that is not passed on to other processes as it is; see :class:`OptionRule`."""
    return OptionRule(default, travel, kw_only)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(option,))
class OptionRecord:
    """A frozen record: its annotations are its constructor's parameters, as with :mod:`dataclasses`.

    That module takes too long to import for ``kosmolua run``.
    """

    declared: ClassVar[Mapping[str, OptionRule]]

    def __init_subclass__(cls) -> None:
        values = {name: vars(cls)[name] for name in cls.__annotations__ if name in vars(cls)}
        own = {name: each if isinstance(each, OptionRule) else OptionRule(each) for name, each in values.items()}
        cls.declared = {**getattr(cls, "declared", {}), **own}
        parameters, defaults = [], {}
        for name, each in cls.declared.items():
            if each.kw_only and "*" not in parameters:
                parameters.append("*")
            parameters.append(f"{name}=_default_of_{name}")
            defaults[f"_default_of_{name}"] = each.default
        given = ", ".join(f"{name}={name}" for name in cls.declared)
        exec(f"def __init__(self, {', '.join(parameters)}):\n vars(self).update({given})", defaults)
        init = defaults["__init__"]
        init.__annotations__ = {**getattr(cls.__init__, "__annotations__", {}), **cls.__annotations__, "return": "None"}
        init.__doc__ = cls.__doc__
        cls.__init__ = init  # type: ignore[method-assign]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"the option {name} cannot be changed")

    def but(self, **changes: Any) -> Self:
        """Return a copy with other values for some of the options."""
        return type(self)(**{**vars(self), **changes})


class RuntimeOptions(OptionRecord):
    """The options of a runtime.

    Args:
        accounts: The accounts file, or a mapping with the content of such a file. By default this is the file that the
            environment variable ``KOSMOLUA_ACCOUNTS`` names. Without this variable, it is the file in the user's
            configuration folder, if there is one.
        simulate: Answer calls with the integrations' simulators, without network and credentials. If this is a path
            instead of True, the file there keeps the state of the simulators: it is read at the start, and written when
            the runtime is closed.
        failures: For each simulated function that should fail, how it fails, such as ``{"render2.trigger_deploy":
            "build_failed"}``.
        plugins: One or more integrations in addition to the installed ones. Each is a file, a package folder or the
            integration itself. If this is a :class:`kosmolua.catalog.plugins.Plugins`, only its integrations are used,
            and not the installed ones.
        backend: An object that answers the calls, instead of the services and the simulators.
        read_only: Deny every call that writes or destroys something.
        yes: Allow calls for which the permissions require approval, except those that destroy something.
        allow: Patterns of functions that need no approval, such as ``render2.delete_service`` or ``render2.*_env_var``.
        deny: Patterns of functions that are denied, no matter what the permissions and other options say.
        flow: What happens to a call whose destination a text by somebody else decided, unless ``[kosmolua.flow]`` in
            the accounts file says it: see :data:`kosmolua.schema.labels.FLOW_MODES`.
        allow_flow: Patterns of functions for which this is allowed.
        approve: A function that asks a person to approve a call. Without it, calls that need approval are refused.
        limits: The limits of each run; by default the limits in ``[kosmolua.limits]`` of the accounts file.
        journal: The file to which a line is appended for each call. With True, this is the journal of the command line
            in the user's state folder. That journal is not written if calls are simulated, or if the accounts file
            turns it off. By default there is no journal.
        workers: How many scripts run at once; further scripts wait. If a callback of a script runs another script, both
            need a worker. A script needs no worker while it waits for ``approve``.
        reuse: How many scripts one process runs one after another, each in a new Lua VM with separate limits. The
            process ends early if a script crashes, reaches a limit or does not end normally. With 1, each script gets a
            new process. Use a higher number only if you trust all scripts: see "Many scripts in one process" in the
            guide ``sandbox``. On systems without ``fork``, each script gets a new process in any case.
        require_isolation: Run no script if the system lacks an isolation layer of the sandbox, such as ``seccomp``. If
            False, scripts run with the layers that the system has; ``Outcome.usage["isolation"]`` lists them.
        warn: Called with a sentence about each setting that works but is unwise.
        environ: The environment variables from which secrets can be read; by default those of the process.
        secrets: Secrets for the variable ``secrets`` of scripts, by name, in addition to ``[kosmolua.secrets]`` in the
            accounts file. Each is a :class:`kosmolua.plugin.Secret`, or says where the secret is read from, such as
            ``env:NAME`` or ``{"env": "NAME"}``.
        servers: MCP servers in addition to those in the accounts file: a mapping of each server's name to its settings.
        trace: A function that is called with each line that an MCP server printed or logged. It is called in another
            thread.
        scripts: The folder of the scripts that other scripts can call in ``app.scripts``; by default the folder of
            scripts in the user's configuration folder.
        share_limits: Tell other processes on this machine when the rate limit of a service is used up, with files in
            the user's state folder. The command line and the processes of :meth:`kosmolua.Runtime.map` do this.
        store: The place for recordings made without a file name; by default the user's state folder. It stays open when
            the runtime is closed. :func:`kosmolua.stores.opening.open_stores` opens stores.
        toolkit: The name of a section ``[toolkits.NAME]`` of the accounts file. Only the functions that it lists exist.
        tenancy: The tenant that the runtime belongs to, on a server with several tenants.
        command_line: Whether hints name options of the command line, such as ``--yes``, and not the parameters here.
        apart: A function that calls a function in another process, for checks and the documentation, so that these do
            not delay the threads of a server: :meth:`kosmolua.processes.readers.Readers.call`.
    """

    accounts: str | os.PathLike[str] | Mapping[str, object] | None = option(
        default=None, travel=_accounts_file, kw_only=False
    )
    simulate: bool | str | os.PathLike[str] = option(default=False, travel=_absolute)
    failures: Mapping[str, str] | None = None
    plugins: Named | Sequence[Named] | Plugins = option(default=(), travel=_plugin_files)
    backend: Backend | None = option(
        default=None, travel=_staying("a backend works only in this process: open the runtime without one")
    )
    read_only: bool = False
    yes: bool = False
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    flow: str = "note"
    allow_flow: Sequence[str] = ()
    approve: Approve | None = option(default=None, travel=None)
    limits: Limits | None = option(default=None, travel=lambda _, value: value)
    journal: str | os.PathLike[str] | bool | None = option(default=None, travel=_absolute)
    workers: int = DEFAULT_WORKERS
    reuse: int = 1
    require_isolation: bool = False
    warn: Callable[[str], None] = option(default=_ignore, travel=None)
    environ: Mapping[str, str] | None = option(
        default=None,
        travel=_staying(
            "environ could contain credentials, so it stays in this process: set the variables in the other process"
        ),
    )
    secrets: Mapping[str, Given] | None = option(default=None, travel=_secret_sources)
    servers: Mapping[str, Mapping[str, object]] | None = option(
        default=None,
        travel=_staying(
            "MCP servers that are passed as a table could contain credentials, so they stay in this process: "
            "put them into the accounts file",
            empty={},
        ),
    )
    trace: Callable[[str], None] | None = option(default=None, travel=None)
    scripts: str | os.PathLike[str] | None = option(default=None, travel=_absolute)
    share_limits: bool = option(default=False, travel=None)
    toolkit: str = ""
    store: Store | None = option(
        default=None,
        travel=_staying(
            "a store could hold a connection, so it stays in this process: record into files, "
            "such as those of Runtime.map(..., recordings=FOLDER)"
        ),
    )
    tenancy: Tenancy | None = option(
        default=None, travel=_staying("a tenant's runtime belongs to its server, so it stays in this process")
    )
    command_line: bool = False
    apart: Callable[..., Any] | None = option(default=None, travel=None)

    def packed(self) -> bytes:
        """Return the options for another process, which :meth:`unpacked` reads. Credentials are never among them.

        Equal options give equal bytes.

        Raises:
            TypeError: An option could contain a credential or a connection.
        """
        import pickle

        kept = {name: each.travel(name, getattr(self, name)) for name, each in self.declared.items() if each.travel}
        return pickle.dumps(kept)

    @classmethod
    def unpacked(cls, packed: bytes) -> dict[str, Any]:
        """Return the options by name, as another process packed them."""
        import pickle

        return {**pickle.loads(packed), "share_limits": True}


def taking(
    options: Callable[_Parameters, _Options],
) -> Callable[[Callable[[_Object, _Options], None]], Callable[Concatenate[_Object, _Parameters], None]]:
    """Make a constructor that takes an object with options take each option as a parameter of its own.

    The constructor gets the signature and the documentation of the options.
    """

    def decorate(init: Callable[[_Object, _Options], None]) -> Callable[Concatenate[_Object, _Parameters], None]:
        @wraps(vars(options)["__init__"])
        def __init__(self: _Object, /, *args: _Parameters.args, **given: _Parameters.kwargs) -> None:
            init(self, options(*args, **given))

        return __init__

    return decorate


class RunContext(NamedTuple):
    """What holds for one run, as its options, its recording and the runtime's options have it. It does not change.

    Args:
        clock: Counts down to the run's deadline.
        limits: The limits of the run.
        id: The id of the run; None for a new one.
        name: The script's name; None if no script makes the calls.
        source: The text of the script; None if no script makes the calls.
        account: The run's default account; None for the default accounts in the accounts file.
        read_only: Whether every call that writes or destroys is denied.
        allow: Patterns of functions that need no approval, in addition to those of the runtime.
        deny: Patterns of functions that are denied, in addition to those of the runtime.
        approve: Asks a person about a call. If it is None, calls that need approval are refused.
        decided: Returns what a person decided about a call beforehand, or None if nobody decided. If nobody can be
            asked either, the run pauses. Without this function, such a call is denied.
        watch: Called with an event when a call starts or ends, and when the script waits.
        write: Returns the :class:`~kosmolua.calls.records.Write` that this thread is about to send, if the run is
            recorded. None if it is not.
        contents: The binary results for which the script has handles already; None if it has none.
        earlier: How many calls the run has made already, in another process.
        sites: The places where the script makes calls, if it was checked, for the guards of the run.
        require_isolation: Whether the run ends with an error if an isolation layer of the sandbox is missing.
        given: The values that were passed to the script, which count as its literals.
        delivered: The input of the script if it is a text by others that no session has read; else None.
        seen: What the session has seen that the run belongs to; None if the run is a session of its own.
        heard: The id of the session that had read texts by others before the recorded run began; empty if it had not.
        is_changed: Whether the recorded answers of the run were given to another script.
        title: The title that the client gave the run, or None.
        person: Who decided beforehand what ``decided`` returns, or None.
        subject: The token of the person who is logged in, for accounts that act on their behalf, or None.
    """

    clock: Clock
    limits: Limits
    id: str | None = None
    name: str | None = None
    source: bytes | None = None
    account: str | None = None
    read_only: bool = False
    allow: Sequence[Patterns] = ()
    deny: Sequence[Patterns] = ()
    approve: Approve | None = None
    decided: Decided | None = None
    watch: Watch | None = None
    write: Callable[[], Write] | None = None
    contents: Contents | None = None
    earlier: int = 0
    sites: Sequence[Site] = ()
    require_isolation: bool = False
    given: Sequence[object] = ()
    delivered: object = None
    seen: SessionMemory | None = None
    heard: str = ""
    is_changed: bool = False
    title: str | None = None
    person: str | None = None
    subject: Secret | None = None
