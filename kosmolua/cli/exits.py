"""The exit status of every ending, and what is said of it."""

from __future__ import annotations

import errno

from kosmolua.cli import show
from kosmolua.cli.streams import OutputLost
from kosmolua.errors import ConfigError, Interrupted, KosmoError, LimitExceeded, PluginError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def status_of(error: KosmoError | None) -> int:
    """Return the exit status that an error stands for; 0 for none."""
    if error is None:
        return 0
    if isinstance(error, UsageError):
        return 2
    if isinstance(error, (ConfigError, PluginError)) or isinstance(error.__cause__, PluginError):
        return 3
    if isinstance(error, LimitExceeded):
        return 124
    return 130 if isinstance(error, Interrupted) else 1


def guarded(work: Callable[[], int]) -> int:
    """Do the work of a command and return its exit status; an error is said on standard error."""
    try:
        return work()
    except KeyboardInterrupt:
        show.complain("interrupted")
        return 130
    except KosmoError as error:
        show.complain_of(error)
        return status_of(error)
    except OutputLost as error:
        if error.errno != errno.EPIPE:  # who reads has enough, as in `kosmolua run long.lua | head -1`
            show.complain(f"standard output cannot be written: {error.strerror}")
        return 1
    except OSError as error:
        show.complain(worded(error))
        return 1


def worded(error: OSError) -> str:
    """Return a sentence about what the operating system refused."""
    reason = error.strerror or str(error)
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"no more files can be opened: {reason} (raise the limit, as with ulimit -n)"
    if error.filename is None and error.errno == errno.ENOENT:
        return "the folder that you are in is not there any more (change to another one)"
    if error.filename is None:
        return f"the operating system refuses: {reason}"
    return f"{error.filename} cannot be used: {reason}"
