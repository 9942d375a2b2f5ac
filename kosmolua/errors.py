"""Every way in which KosmoLua says no.

    KosmoError                      code, hint
    ├── UsageError                  the command line is wrong
    ├── ConfigError                 an accounts file, an option or a secret source is wrong
    ├── PluginError                 an integration cannot be loaded; origin says where it is
    ├── CallError                   one call under app.integrations failed; the script can catch it
    │   ├── UnknownPath             no such integration, account or function
    │   ├── BadArguments            refused before anything was sent; param names the culprit
    │   │   └── BadDocArguments     the documentation was asked for with wrong arguments
    │   ├── Denied                  the policy of the account, or the person asked, said no
    │   ├── NotConfigured           the integration has no usable account
    │   ├── ApiError                the service answered with an error; status, retry_after, request_id
    │   ├── NetworkError            the service could not be reached, or its answer not be read
    │   ├── PluginFault             the integration's own code failed
    │   └── DocNotFound             no such page
    ├── ScriptError                 the script failed; line, traceback
    ├── LimitExceeded               a limit ended the script; limit, value
    ├── Interrupted                 the user ended the script
    └── WorkerLost                  the sandboxed process died

A message is one line and says what happened, where, and what to do. A hint is the part that says what to do; a
one-line hint is part of the message, a longer one (a stanza to paste) stands beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class KosmoError(Exception):
    """Anything that KosmoLua reports to a user.

    Args:
        message: What happened and where, on one line.
        hint: What to do about it. One line joins the message in parentheses; more lines stay apart.
        detail: What is for the user's eyes and no script's: a path, a command, the words of an exception.

    Where the error ended a script, ``line`` is the script's line, counted from 1, and ``traceback`` is Lua's own.
    """

    code = "error"
    epilogue = ""
    line: int | None = None
    traceback: str | None = None

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        joins = hint is not None and "\n" not in hint
        said = f"{message} ({hint})" if joins else message
        self.message = said.removesuffix(".") + self.epilogue if self.epilogue else said
        self.hint = hint
        self.detail = detail
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} [{self.detail}]" if self.detail else self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return _revived, (type(self), self.args), vars(self)

    def advise(self, hint: str) -> None:
        """Say one line more of what to do, unless it is said already."""
        if hint in self.message:
            return
        what = self.message.removesuffix(f" ({self.hint})")
        self.hint = hint if what == self.message else f"{self.hint}; {hint}"
        self.message = f"{what} ({self.hint})"
        self.args = (self.message,)

    def fields(self) -> dict[str, object]:
        """Return the error as JSON values: ``code``, ``message`` and whatever else applies but the detail."""
        return {"code": self.code, "message": self.message} | self._present("hint", "line", "traceback")

    def report(self) -> dict[str, object]:
        """Return what a user may know as JSON values: the fields, and the detail."""
        return self.fields() | self._present("detail")

    def _present(self, *names: str) -> dict[str, object]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def _revived(kind: type[KosmoError], args: tuple[object, ...]) -> KosmoError:
    """Return what is left to fill of a pickled error, whose own arguments are not those of its class."""
    return kind.__new__(kind, *args)


class UsageError(KosmoError):
    """The command line is wrong."""

    code = "usage"


class ConfigError(KosmoError):
    """A file, an option or a secret source that the user has to mend."""

    code = "config_error"


class PluginError(KosmoError):
    """An integration that cannot be loaded.

    Args:
        message: What happened and where, on one line.
        origin: The file, with its line where known, or the entry point.
        hint: What to do about it.
    """

    code = "plugin_error"

    def __init__(self, message: str, *, origin: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.origin = origin
        self.mistakes: tuple[PluginError, ...] = (self,)

    @classmethod
    def all_of(cls, errors: Sequence[PluginError]) -> PluginError:
        """Return one error for several mistakes of a plugin, each with its place; ``mistakes`` has them apart."""
        mistakes = tuple(mistake for error in errors for mistake in error.mistakes)
        if len(mistakes) == 1:
            return mistakes[0]
        clauses = "; ".join(f"{mistake.origin}: {mistake.message}" for mistake in mistakes)
        joined = cls(f"{len(mistakes)} mistakes: {clauses}", origin=mistakes[0].origin)
        joined.mistakes = mistakes
        return joined

    def fields(self) -> dict[str, object]:
        """Return the error as JSON values, with ``origin``."""
        return super().fields() | {"origin": self.origin}


class CallError(KosmoError):
    """One call failed. Scripts see its fields as an error table.

    Plugins may raise it with a code of their own.

    Args:
        code: A stable word that a script can compare, such as ``bad_arguments``.
        message: One line that a model can repair its script from.
        hint: What to do.
        param: The parameter at fault.
        status: The HTTP status, where a service answered.
        retryable: Whether the same call may succeed later.
        retry_after: Seconds to wait before that.
        request_id: The service's own name for the request.
        detail: What the user may know of it, but no script.
    """

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
        detail: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint, detail=detail)
        self.code = code
        self.param = param
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.request_id = request_id
        self.path: str | None = None
        self.account: str | None = None

    def fields(self) -> dict[str, object]:
        """Return what a script sees: ``code``, ``message``, and the other fields that are set."""
        return super().fields() | self._present(
            "param", "status", "retryable", "retry_after", "request_id", "path", "account"
        )


class UnknownPath(CallError):
    """Nothing has this name under ``app``."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__("unknown_path", message, hint=hint)


class BadArguments(CallError):
    """The arguments do not fit the function's parameters. Nothing was sent."""

    epilogue = ". Nothing was sent."

    def __init__(self, message: str, *, param: str | None = None, hint: str | None = None) -> None:
        super().__init__("bad_arguments", message, param=param, hint=hint)


class BadDocArguments(BadArguments):
    """The documentation was asked for with wrong arguments."""

    epilogue = ""


class Denied(CallError):
    """The policy, or the person who was asked, does not allow this call. Nothing was sent."""

    epilogue = ". Nothing was sent."

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__("denied", message, hint=hint, detail=detail)


class NotConfigured(CallError):
    """The integration has no account that this call could use. Nothing was sent."""

    epilogue = ". Nothing was sent."

    def __init__(self, message: str, *, hint: str | None = None, detail: str | None = None) -> None:
        super().__init__("not_configured", message, hint=hint, detail=detail)


class ApiError(CallError):
    """The service answered with an error status.

    Args:
        message: What happened and where, on one line.
        status: The HTTP status.
        limited: Whether it was asked too often, which is ``rate_limited`` in place of ``api_error``.
        retryable: Whether the same call may succeed later.
        retry_after: Seconds to wait before that.
        request_id: The service's own name for the request.
        location: The absolute address that the answer leads to, where it names one; no script sees it.
        hint: What to do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        limited: bool = False,
        retryable: bool = False,
        retry_after: float | None = None,
        request_id: str | None = None,
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
        )


class NetworkError(CallError):
    """The service could not be reached, or its answer could not be read.

    Args:
        message: What happened and where, on one line.
        retryable: Whether the same call may succeed later.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, retryable: bool = True, hint: str | None = None) -> None:
        super().__init__("network", message, retryable=retryable, hint=hint)


class PluginFault(CallError):
    """The integration's own code failed while it answered a call."""

    def __init__(self, message: str, *, detail: str | None = None) -> None:
        super().__init__("plugin_error", message, detail=detail)


class DocNotFound(CallError):
    """No page has this name."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__("doc_not_found", message, hint=hint)


class ScriptError(KosmoError):
    """The script itself failed: it could not be compiled, or it raised.

    Args:
        message: What happened and where, on one line.
        line: The line of the script, counted from 1, where known.
        traceback: Lua's own traceback, without a trace of the host.
    """

    code = "script_error"

    def __init__(self, message: str, *, line: int | None = None, traceback: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.traceback = traceback


class LimitExceeded(KosmoError):
    """A limit ended the script. No script can catch this.

    Args:
        message: What happened and where, on one line.
        limit: The limit's name, such as ``wall`` or ``memory``.
        value: The value that was in force, in the limit's unit.
        hint: What to do about it.
    """

    code = "limit_exceeded"

    def __init__(self, message: str, *, limit: str, value: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.limit = limit
        self.value = value

    def fields(self) -> dict[str, object]:
        """Return the error as JSON values, with ``limit`` and ``value``."""
        return super().fields() | {"limit": self.limit, "value": self.value}


class Interrupted(KosmoError):
    """The user ended the script with Ctrl-C, or the embedder cancelled it or closed its runtime."""

    code = "interrupted"


class WorkerLost(KosmoError):
    """The sandboxed process died, spoke nonsense and was killed, or could not be started."""

    code = "worker_lost"

    @classmethod
    def unstartable(cls, error: OSError) -> WorkerLost:
        """Return the error for a process that the system does not let start."""
        return cls(f"The sandbox cannot be started: {error.strerror}")
