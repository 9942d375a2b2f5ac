"""Every error that KosmoLua reports. The attributes that a class adds are in brackets.

    KosmoError                      (code, detail, and message, which joins what, hint and sent)
    ├── UsageError                  the command line is wrong
    ├── ConfigError                 an accounts file, an option or a secret source is wrong
    │   └── Unavailable             the store cannot be used now; the same can be tried again later
    ├── PluginError                 an integration cannot be loaded (origin)
    ├── CallError                   a call under app.integrations failed; scripts can catch this (param, retryable)
    │   ├── UnknownPath             no such integration, account or function
    │   ├── BadArguments            the arguments do not match the function's parameters; nothing was sent
    │   │   └── BadDocArguments     the arguments of a documentation function, such as lua_read_doc, are not valid
    │   ├── Denied                  the permissions or a person refused the call; nothing was sent
    │   ├── NotConfigured           the integration has no usable account; nothing was sent
    │   ├── SessionExpired          a session is over (status, if the service refused its credential)
    │   ├── ApiError                the service answered with an error (status, body, retry_after, request_id)
    │   ├── NetworkError            the service could not be reached, or its answer could not be read
    │   ├── CallTimeout             the call took longer than its time limit
    │   ├── PluginFault             the integration's own code failed
    │   └── DocNotFound             the documentation has no such page
    ├── CheckFailed                 the script is certain to fail and was not run (findings)
    ├── ScriptError                 the script failed (line, traceback)
    ├── Exited                      the script called exit with a status other than 0 (exit)
    ├── LimitExceeded               a limit ended the script (limit, value)
    ├── Interrupted                 the script was interrupted, by Ctrl-C for example
    ├── Diverged                    a replayed or resumed script deviates from its recording
    ├── Parked                      the script sleeps, and a server continues it at its time (until)
    ├── Paused                      the script stopped at calls that a person must approve (calls)
    ├── PlanOpen                    planning ended at a loop that waits for what the plan cannot know (line)
    ├── Stale                       the script of a plan would now write something else; nothing was sent (differences)
    ├── UnderWay                    nobody knows whether some recorded writes were done (calls)
    ├── WorkerLost                  the sandboxed process died
    ├── RateLimited                 a tenant's quota refused a script for now (retry_after)
    └── Busy                        too many scripts are waiting; the same script can be run again later

A message is one line and says what happened, where, and what to do. An error keeps these parts apart and joins them
only when ``message`` is read, so that a part can be added or replaced at any time.
"""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOTHING_SENT = "Nothing was sent."
_SHOWN = ("hint", "call", "line", "traceback")
_OF_THE_HOST = r"[<>/\\]|0x[0-9a-f]{4}"
"""Characters that reveal the host: a Python repr, an address in memory, or a path."""


class KosmoError(Exception):
    """An error that KosmoLua reports to a user.

    Attributes:
        what: What happened and where.
        hints: What to do about the error. The message contains the hints that have one line, and leaves out longer
            hints, such as lines to paste.
        sent: The sentence "Nothing was sent.", or an empty string if something may have been sent.
        detail: Information that the user sees and scripts do not: a path, a command, or the text of an exception.
        call: The path of a function whose call was still in progress when the error ended the script, or None.
        line: The line of the script where the error occurred, counted from 1, or None.
        traceback: Lua's traceback, or None.

    Args:
        message: What happened and where, on one line.
        hint: What to do about the error.
        detail: Information that the user sees and scripts do not.
    """

    code = "error"
    shown: tuple[str, ...] = ()
    """The attributes that a class adds to :meth:`fields`."""
    sent = ""
    call: str | None = None
    line: int | None = None
    traceback: str | None = None

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__()
        self.what = message
        self.hints = [hint] if hint else []
        self.detail = detail

    @property
    def hint(self) -> str | None:
        """What to do about the error, or None. It has several lines if it contains lines to paste into a file."""
        return "\n".join(filter(None, [self._advice, *(hint for hint in self.hints if "\n" in hint)])) or None

    @property
    def message(self) -> str:
        """One line that says what happened, where, what to do, and, if that is certain, that nothing was sent."""
        said = f"{self.what} ({self._advice})" if self._advice else self.what
        return f"{said.removesuffix('.')}. {self.sent}" if self.sent else said

    @property
    def _advice(self) -> str:
        return "; ".join(hint for hint in self.hints if "\n" not in hint)

    def __str__(self) -> str:
        return f"{self.message} [{self.detail}]" if self.detail else self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _revived, (type(self),), vars(self)

    def advise(self, hint: str) -> None:
        """Add a hint to ``hints``, unless the message already contains it."""
        if hint not in self.message:
            self.hints.append(hint)

    def name_parameters(self) -> None:
        """Let the hints name parameters of Python, such as ``yes=True``, in place of options, such as ``--yes``."""
        self.hints = [_with_parameters(hint) for hint in self.hints]

    def fields(self) -> dict[str, object]:
        """Return the error as JSON, without ``detail``: ``code``, ``message``, and what else is not None."""
        return {"code": self.code, "message": self.message} | self._present(*_SHOWN, *self.shown)

    def report(self) -> dict[str, object]:
        """Return :meth:`fields` and, for the user, ``detail``."""
        return self.fields() | self._present("detail")

    def _present(self, *names: str) -> dict[str, object]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


_OPTIONS = "accept-accounts accept-changes accounts again allow allow-flow approve call-timeout cpu deny done journal"
_OPTIONS += " max-calls max-output memory plugin read-only require-isolation secret simulate timeout yes"
_SWITCHES = frozenset({"accept_accounts", "accept_changes", "again", "simulate", "yes"})
_SEVERAL = {"plugin": "plugins", "secret": "secrets"}


def _with_parameters(hint: str) -> str:
    """Return a hint with Python's parameters in place of options: ``allow=["render2.x"]`` for ``--allow render2.x``."""
    import re

    def parameter(found: re.Match[str]) -> str:
        name, key, value = found["option"].replace("-", "_"), found["key"], found["value"]
        name = _SEVERAL.get(name, name)
        quoted = key if not key or key.isdigit() else f'"{key}"'
        if value or (key and name == "done"):
            given = f"={{{quoted}: {value or 'RESULT'}}}"
        elif key:
            given = f"=[{quoted}]"
        else:
            given = "=True" if found["passed"] and name in _SWITCHES else ""
        return f"{found['passed'] or ''}{name}{given}"

    options = "|".join(sorted(_OPTIONS.split(), reverse=True))
    key = r"(?: (?P<key>\d+|[A-Za-z_]\w*(?==[A-Z])|\w+(?:\.[\w*]+)+)(?:=(?P<value>[A-Z]+))?)?"
    spoken = hint.replace("run kosmolua resume with", "call resume with")
    return re.sub(rf"(?P<passed>\bpass )?--(?P<option>{options})\b{key}", parameter, spoken)


def _revived(kind: type[KosmoError]) -> KosmoError:
    """Return an error without attributes, which pickle then sets: constructors take different arguments."""
    return kind.__new__(kind)


class UsageError(KosmoError):
    """The command line is wrong."""

    code = "usage"


class ConfigError(KosmoError):
    """A file, an option or the source of a secret is invalid or cannot be read."""

    code = "config_error"
    is_unrecorded = False
    """True if not even the beginning of a recording could be kept, so that the run counts as refused."""

    def name_parameters(self) -> None:
        super().name_parameters()
        self.what = _with_parameters(self.what)


class Unavailable(ConfigError):
    """The store of recordings, or the server, cannot be used now.

    The same can be tried again later (``retryable``), unless the run has written: then it is to be resumed.
    """

    code = "unavailable"
    shown = ("retryable",)
    retryable = True


class PluginError(KosmoError):
    """An integration cannot be loaded.

    ``origin`` is where the mistake is: a file, with the line if it is known, or an entry point.
    """

    code = "plugin_error"
    shown = ("origin",)

    def __init__(self, message: str, *, origin: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.origin = origin
        self._mistakes: tuple[PluginError, ...] = ()

    @property
    def mistakes(self) -> tuple[PluginError, ...]:
        """The errors that :meth:`all_of` combined, else this one."""
        return self._mistakes or (self,)

    @classmethod
    def all_of(cls, errors: Sequence[PluginError]) -> PluginError:
        """Return one error for several mistakes in a plugin, each with its place; the error itself if there is one."""
        mistakes = tuple(mistake for error in errors for mistake in error.mistakes)
        if len(mistakes) == 1:
            return mistakes[0]
        clauses = "; ".join(f"{mistake.origin}: {mistake.message}" for mistake in mistakes)
        joined = cls(f"{len(mistakes)} mistakes: {clauses}", origin=mistakes[0].origin)
        joined._mistakes = mistakes
        return joined


class CallError(KosmoError):
    """A call failed. A script that catches the error gets a table with the fields of the error.

    An integration can raise a CallError with a code of its own.

    Args:
        code: A stable word that scripts compare, such as ``bad_arguments``.
        message: What happened and where, on one line.
        hint: What to do about the error.
        param: The name of the argument that is wrong, if one is.
        status: The HTTP status, if the service answered.
        retryable: True if the same call may succeed later, False if it cannot, None if that is unknown.
        retry_after: How many seconds to wait before a retry.
        request_id: The id that the service gave to the request.
        body: The body of the service's response, decoded from JSON if possible.
        detail: Information that the user sees and scripts do not.
    """

    shown = ("param", "status", "retryable", "retry_after", "request_id", "body", "path", "account")

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        body: object = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.code = code
        self.param = param
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.request_id = request_id
        self.body = body
        self.path: str | None = None
        self.account: str | None = None


class UnknownPath(CallError):
    """A path under ``app`` names an integration, an account or a function that does not exist."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__("unknown_path", message, hint=hint)


class BadArguments(CallError):
    """The arguments of a call do not match the function's parameters. Nothing was sent."""

    sent = NOTHING_SENT

    def __init__(self, message: str, *, param: str | None = None, hint: str | None = None) -> None:
        super().__init__("bad_arguments", message, param=param, hint=hint)


class BadDocArguments(BadArguments):
    """The arguments of a documentation function, such as ``lua_read_doc``, are not valid."""

    sent = ""


class Denied(CallError):
    """The permissions forbid a call, or it was not approved. Nothing was sent."""

    sent = NOTHING_SENT

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__("denied", message, hint=hint, detail=detail)

    def name_parameters(self) -> None:
        super().name_parameters()
        before, by, pattern = self.what.rpartition(" denied by ")
        self.what = before + by + _with_parameters(pattern) if by else self.what


class NotConfigured(CallError):
    """The integration has no account that the call can use. Nothing was sent."""

    sent = NOTHING_SENT

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__("not_configured", message, hint=hint, detail=detail)


class SessionExpired(CallError):
    """A session is over, since it was logged out or belongs to another run, or its credential was refused."""

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__("session_expired", message, status=status, hint=hint, retryable=False)


class ApiError(CallError):
    """The service answered with an error status.

    ``status`` is None if the service does not answer with one, such as an MCP server. ``limited`` says that a rate
    limit was exceeded; the code is then ``rate_limited``, as for status 429. The body has at most 16 KiB. ``location``
    is the absolute URL to which the response redirects; scripts do not see it.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        limited: bool = False,
        retryable: bool = False,
        retry_after: float | None = None,
        request_id: str | None = None,
        body: object = None,
        location: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.location = location
        super().__init__(
            "rate_limited" if limited or status == 429 else "api_error",
            message,
            hint=hint,
            status=status,
            retryable=retryable,
            retry_after=retry_after,
            request_id=request_id,
            body=body,
        )


class NetworkError(CallError):
    """The service could not be reached, or its answer could not be read."""

    def __init__(self, message: str, *, retryable: bool = True, hint: str | None = None) -> None:
        super().__init__("network", message, retryable=retryable, hint=hint)


class CallTimeout(CallError):
    """A call took longer than the time limit for one call."""

    def __init__(self, path: str, seconds: float, *, retryable: bool = True, hint: str | None = None) -> None:
        super().__init__("timeout", f"{path} took longer than {seconds:g} s", retryable=retryable, hint=hint)


class PluginFault(CallError):
    """The integration's own code failed during a call."""

    def __init__(self, message: str, *, detail: str | None = None) -> None:
        super().__init__("plugin_error", message, detail=detail)

    @classmethod
    def unloadable(cls, name: str, error: PluginError) -> PluginFault:
        """Return the error for a call if its integration cannot be loaded.

        The user always sees the reason; the script only if it reveals nothing about the host. ``name`` is the
        integration's, or words such as "of this page".
        """
        import re  # the sandboxed process imports this module, and starts sooner without it

        said = f"The integration {name} cannot be loaded"
        if re.search(_OF_THE_HOST, error.message):
            fault = cls(said, detail=f"{error.origin}: {error.message}")
        else:
            fault = cls(f"{said}: {error.message}", detail=error.origin)
        fault.__cause__ = error
        return fault


class DocNotFound(CallError):
    """No page of the documentation has the requested name, or the documentation cannot be searched."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__("doc_not_found", message, hint=hint)


class CheckFailed(KosmoError):
    """The check of a script found code that is certain to fail. The script was not run, and nothing was sent.

    ``findings`` are all errors and warnings, each with ``line``, ``column``, ``severity``, ``message`` and ``hint``;
    ``line`` is that of the first error, and ``script`` the script's name, where it is not passed beside the error.
    """

    code = "check"
    script = "script"
    sent = NOTHING_SENT
    shown = ("findings",)

    def __init__(self, message: str, *, findings: Sequence[dict[str, object]], line: int) -> None:
        super().__init__(message)
        self.findings = list(findings)
        self.line = line


class ScriptError(KosmoError):
    """The script itself failed: it could not be compiled, or it raised an error.

    ``code`` is the one that the script chose by raising a table with a code and a message. ``is_syntax`` says that it
    could not be compiled.
    """

    code = "script_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        line: int | None = None,
        traceback: str | None = None,
        is_syntax: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.is_syntax = is_syntax
        self.line = line
        self.traceback = traceback


class Exited(KosmoError):
    """The script called ``exit`` with an exit status other than 0, from 1 to 63."""

    code = "exit"
    shown = ("exit",)

    def __init__(self, status: int) -> None:
        super().__init__(f"The script ended with the exit status {status}")
        self.exit = status


class LimitExceeded(KosmoError):
    """A limit ended the script. No script can catch this error.

    ``limit`` is its name, such as ``wall`` or ``memory``; ``value`` its value in this run, such as a number of seconds
    or bytes.
    """

    code = "limit_exceeded"
    shown = ("limit", "value")

    def __init__(self, message: str, *, limit: str, value: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
        self.value = value


class Interrupted(KosmoError):
    """Something outside ended the script: Ctrl-C, the cancellation of a task, or the closing of the runtime."""

    code = "interrupted"


class Diverged(KosmoError):
    """A replayed or resumed script deviates from its recording, so the run cannot go on.

    Nothing was sent for the request that deviates.
    """

    code = "diverged"


class Paused(KosmoError):
    """The script stopped at calls that somebody must approve, since nobody could be asked. The run can be resumed.

    Each of the calls that wait is a dict of the attributes of :class:`kosmolua.calls.approvals.Approval`, such as
    ``number``, ``path`` and ``arguments``.
    """

    code = "paused"
    shown = ("calls",)

    def __init__(self, message: str, *, calls: Sequence[dict[str, object]] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.calls = list(calls)


class Parked(KosmoError):
    """The script sleeps for so long that it holds no process meanwhile. A server continues the run at its time.

    The sleep ends at ``until``, in seconds since 1970.
    """

    code = "waiting"
    shown = ("until",)

    def __init__(self, message: str, *, until: float = 0.0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.until = until


class PlanOpen(KosmoError):
    """Planning ended at a loop that waits for something that the plan cannot know.

    The message says what the script waits for.
    """

    code = "open"

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class Stale(KosmoError):
    """The script of a plan would now write something else than the plan lists. Nothing was sent.

    The message says in short what has changed, and ``differences`` has a sentence for each difference.
    """

    code = "stale"
    sent = NOTHING_SENT
    shown = ("differences",)

    def __init__(self, message: str, differences: Sequence[str], *, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.differences = list(differences)


class UnderWay(KosmoError):
    """A run cannot be resumed, because its recording has writes without an answer, which may have been done.

    A person must decide whether each of these ``calls`` was done. Each is a dict with ``number``, ``path``,
    ``account``, ``effect`` and ``arguments``.
    """

    code = "under_way"
    shown = ("calls",)

    def __init__(self, message: str, *, calls: Sequence[dict[str, object]] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.calls = list(calls)

    @classmethod
    def unread(cls, call: dict[str, object], error: KosmoError) -> UnderWay:
        """Return the error for a write, as in ``calls``, of which reading whether it was done has failed."""
        number, named = call["number"], f"{call['path']} with {call['account']}"
        return cls(
            f"Call {number}, {named}, may have been done, and it cannot be read whether it was: {error.message}",
            calls=[call],
            hint=f"resume the run later, or check, then pass --done {number} or --again {number}",
        )


_ROOM = {
    errno.EPERM: "if this is a container, its runtime may refuse the system call clone3: update it, or allow clone3",
    errno.EAGAIN: "run fewer scripts at once, or allow more processes, as with ulimit -u",
    errno.EMFILE: "run fewer scripts at once, or raise the limit of open files, as with ulimit -n",
    errno.ENFILE: "close programs: this machine cannot open more files",
    errno.ENOMEM: "close programs, or give this one more memory",
}


class WorkerLost(KosmoError):
    """The sandboxed process died, could not be started, or was killed because it broke the protocol."""

    code = "worker_lost"

    @classmethod
    def unstartable(cls, error: OSError | RuntimeError) -> WorkerLost:
        """Return the error for a process or thread that the system could not start."""
        reason, number = getattr(error, "strerror", None) or error, getattr(error, "errno", None)
        return cls(f"The sandbox cannot be started: {reason}", hint=_ROOM.get(number or 0))

    @classmethod
    def broken_protocol(cls, problem: object) -> WorkerLost:
        """Return the error for a sandbox that sent a message with this problem."""
        return cls(f"The sandbox broke the protocol and was stopped: {problem}")


class Busy(KosmoError):
    """The script was not run, since too many scripts wait for their turn, or since another process holds a file of it.

    It can be run again later.
    """

    code = "busy"
    shown = ("retryable",)
    retryable = True


class RateLimited(KosmoError):
    """A quota of a server's tenant refused a script, so it was not run. It can be run again later.

    It makes sense to try again after ``retry_after`` seconds.
    """

    code = "rate_limited"
    shown = ("retryable", "retry_after")
    retryable = True

    def __init__(self, message: str, *, retry_after: float, hint: str | None = None) -> None:
        self.retry_after = max(1, round(retry_after))
        super().__init__(message, hint=hint or f"nothing was run; try again in {self.retry_after:,} s")


NOT_NOW = Busy, RateLimited, Unavailable
"""Errors of what did nothing, and can be tried again."""
_BEFORE_A_RUN = UsageError, ConfigError, Unavailable, PluginError, CheckFailed, Busy
_ENDINGS = Exited, LimitExceeded, Interrupted, WorkerLost
RESERVED_CODES = frozenset(kind.code for kind in (*_BEFORE_A_RUN, *_ENDINGS))
"""Codes that a script cannot use for its own errors. They mean that something else ended or prevented the run."""


def log_traceback(subject: str, error: BaseException, redact: Callable[[str], str] = str) -> None:
    """Log an exception of an integration's own code as DEBUG of ``kosmolua.integrations``, which ``--debug`` shows.

    The record has text alone, since a handler would format the exception itself, with its secrets. ``subject`` is the
    function or plugin; ``redact`` masks secrets.
    """
    import logging

    logger = logging.getLogger("kosmolua.integrations")
    if logger.isEnabledFor(logging.DEBUG):
        from traceback import format_exception

        logger.debug("%s failed\n%s", subject, redact("".join(format_exception(error)).rstrip()))
