"""KosmoLua runs Lua scripts, written by a language model, in a sandbox. They can call web APIs with a user's accounts.

The module of a public name is imported when the name is first used. The sandboxed process imports this file too, and
must not import the modules of the host process.
"""

__version__ = "0.1.0"

_ERRORS = (
    "KosmoError ConfigError PluginError CallError UnknownPath BadArguments Denied NotConfigured ApiError NetworkError "
    "CallTimeout ScriptError LimitExceeded Interrupted WorkerLost Diverged Parked Paused UnderWay"
)
_HOMES = {
    "Runtime": "runtime",
    "Outcome": "runs",
    "CallRecord": "calls.records",
    "Usage": "runs.job",
    "Fact": "calls.facts",
    "Json": "protocol",
    "Limits": "limits",
    **dict.fromkeys(_ERRORS.split(), "errors"),
}
__all__ = ["__version__", *_HOMES]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kosmolua.calls.facts import Fact as Fact
    from kosmolua.calls.records import CallRecord as CallRecord
    from kosmolua.errors import ApiError as ApiError
    from kosmolua.errors import BadArguments as BadArguments
    from kosmolua.errors import CallError as CallError
    from kosmolua.errors import CallTimeout as CallTimeout
    from kosmolua.errors import ConfigError as ConfigError
    from kosmolua.errors import Denied as Denied
    from kosmolua.errors import Diverged as Diverged
    from kosmolua.errors import Interrupted as Interrupted
    from kosmolua.errors import KosmoError as KosmoError
    from kosmolua.errors import LimitExceeded as LimitExceeded
    from kosmolua.errors import NetworkError as NetworkError
    from kosmolua.errors import NotConfigured as NotConfigured
    from kosmolua.errors import Parked as Parked
    from kosmolua.errors import Paused as Paused
    from kosmolua.errors import PluginError as PluginError
    from kosmolua.errors import ScriptError as ScriptError
    from kosmolua.errors import UnderWay as UnderWay
    from kosmolua.errors import UnknownPath as UnknownPath
    from kosmolua.errors import WorkerLost as WorkerLost
    from kosmolua.limits import Limits as Limits
    from kosmolua.protocol import Json as Json
    from kosmolua.runs import Outcome as Outcome
    from kosmolua.runs.job import Usage as Usage
    from kosmolua.runtime import Runtime as Runtime


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'kosmolua' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"kosmolua.{_HOMES[name]}"), name)
