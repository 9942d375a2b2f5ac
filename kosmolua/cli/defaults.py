"""Defaults of options that the user sets in the accounts file or in the environment.

An option on the command line overrides its variable, such as ``KOSMOLUA_TIMEOUT``, and the variable overrides the
section ``[kosmolua.options]`` of the accounts file.
"""

from __future__ import annotations

from kosmolua.cli.options import OPTIONS, PREFIX
from kosmolua.errors import ConfigError
from kosmolua.folders import MAX_SETTINGS, accounts_file, read_within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from kosmolua.cli.options import Option
    from kosmolua.schema.settings import Check

SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
_BY_NAME = {option.attribute: option for option in OPTIONS if option.attribute != "accounts"}
"""The options for which a user can set a default. The accounts file cannot name itself."""


OTHER_VARIABLES = {f"{PREFIX}{name}" for name in ("ACCOUNTS", "COMPLETE", "MCP_TOKEN", "STORE", "TENANT")}
"""The variables with the program's prefix that set no option which all commands share."""


def user_defaults(accounts: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the defaults that the user has set, by the attribute of :class:`kosmolua.cli.options.Options`.

    ``accounts`` is the accounts file that the command line names, or None for the usual one.

    Raises:
        ConfigError: ``[kosmolua.options]`` has an unknown key, or a value is not valid.
    """
    return _in_file(accounts, environ) | _in_environment(environ)


def _in_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = [name for name in environ if name.startswith(PREFIX)]
    options = {option.variable: option for option in _BY_NAME.values()} if names else {}
    for name in names:
        if name not in options and name not in OTHER_VARIABLES:
            _warn_of(name, [*options, *OTHER_VARIABLES])
    return {
        options[name].attribute: _in_variable(options[name], name, environ[name])
        for name in names
        if name in options and environ[name]
    }


def _in_variable(option: Option[Any], name: str, given: str) -> Any:
    try:
        return _value(option, given)
    except ValueError as error:
        raise ConfigError(f"the environment variable {name}: {error}") from None


def _warn_of(name: str, known: Sequence[str]) -> None:
    from kosmolua.cli.console import warn
    from kosmolua.suggestions import closest

    hint = f" (did you mean {close[0]}?)" if (close := closest(name, known, most=1)) else ""
    warn(f"the environment variable {name} has no effect{hint}")


def _in_file(accounts: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    path, _ = accounts_file(accounts, environ)
    try:
        if b"options" not in read_within(path, MAX_SETTINGS):
            return {}
    except OSError:
        return {}  # if the file must be read, reading the accounts reports the error
    from kosmolua.schema.settings import SettingsFile, parse

    own = parse(path).get("kosmolua", {})
    given = own.get("options", {}) if isinstance(own, dict) else {}
    if not isinstance(given, dict):
        return {}  # reading the accounts reports this error
    checks = {key: _check_of(option) for key, option in _BY_NAME.items()}
    return SettingsFile(path).read(given, checks, "kosmolua", "options")


def _check_of(option: Option[Any]) -> Check:
    from kosmolua.schema.mismatch import Mismatch

    def check(given: object) -> Any:
        try:
            return _value(option, given)
        except ValueError as error:
            raise Mismatch(str(error), ":") from None

    return check


def _value(option: Option[Any], given: object) -> Any:
    """Return the value of an option; several are separated in a variable by the option's separator."""
    if option.metavar is None:
        return _switch(given)
    if option.is_repeatable:
        texts = given.split(option.separator) if isinstance(given, str) else given
        if not isinstance(texts, list):
            raise ValueError("the value must be a list of strings")
        return tuple(option.read(_text(each)) for each in texts)
    return option.read(_text(given))


def _switch(given: object) -> bool:
    if isinstance(given, bool):
        return given
    switch = SWITCHES.get(given.lower()) if isinstance(given, str) else None
    if switch is None:
        raise ValueError("the value must be true or false")
    return switch


def _text(given: object) -> str:
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        raise ValueError("the value must be a string or a number")
    return str(given)
