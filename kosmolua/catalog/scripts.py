"""The user's Lua scripts as functions under ``app.scripts``, described by the comment at their beginning."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from kosmolua.catalog.plugins import Plugin
from kosmolua.concurrency import lazy
from kosmolua.errors import CallError, ConfigError, KosmoError, PluginError, UnknownPath
from kosmolua.folders import replace_file
from kosmolua.limits import LIMITS, spell_size
from kosmolua.schema.effects import EFFECTS, Effect
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import SCRIPTS, objection_to_function
from kosmolua.suggestions import did_you_mean, list_of

if TYPE_CHECKING:
    from kosmolua.catalog.catalog import Catalog
    from kosmolua.check.checker import Checker
    from kosmolua.lua.header import Header
    from kosmolua.lua.site import Site

SUFFIX = ".lua"
_MARK = b"\xef\xbb\xbf"
"""A byte order mark. It does not count as a part of the script."""


class UserScript(NamedTuple):
    """A Lua script; ``name`` is that of its function, ``header`` what its first comment says."""

    name: str
    path: str
    source: bytes
    header: Header

    @property
    def file(self) -> str:
        """The file's name, for messages."""
        return os.path.basename(self.path)

    @property
    def chunk(self) -> bytes:
        """The text for Lua's ``load``: no byte order mark, ``#!`` as a comment."""
        source = self.source.removeprefix(_MARK)
        return b"--" + source if source.startswith(b"#") else source


class _NoAccount:
    """The account of scripts, whose calls have their own accounts."""

    def open(self, send: Any) -> None: ...


class Scripts:
    """The scripts in one folder, as functions of one integration.

    Files are left out if their names make no function name; those with the same one, such as ``a-b.lua`` and
    ``a_b.lua``, cannot be called. The catalog tells the effects of the calls in a script.
    """

    root = SCRIPTS

    def __init__(
        self, folder: str | os.PathLike[str], catalog: Callable[[], Catalog], max_source: Callable[[], int]
    ) -> None:
        self.folder = os.fspath(folder)
        self._catalog = catalog
        self._max_source = max_source
        self._lock = RLock()
        self._plugin: Plugin | None = None
        self._sites: dict[str, tuple[bytes, Sequence[Site]]] = {}

    def names(self) -> list[str]:
        """Return the one name, or none without scripts."""
        return [SCRIPTS] if self._files else []

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def script(self, name: str) -> UserScript:
        """Read a script.

        Raises:
            UnknownPath: There is no script of this name.
            CallError: Several files have this name, the file cannot be read or is too large, or the comment at its
                beginning is invalid.
        """
        from kosmolua.lua.header import read_header

        if name not in self._files:
            hint = did_you_mean(name, self._files) or list_of("there are", sorted(self._files))
            raise UnknownPath(f"app.scripts has no '{name[:80]}'", hint=hint)
        path, *others = self._files[name]
        if others:
            files = " and ".join(map(os.path.basename, self._files[name]))
            what = f"Several scripts are called {name}: {files}"
            raise CallError("plugin_error", what, hint=f"rename all but one of the scripts called {name}")
        source = _read(name, path, self._max_source())
        try:
            return UserScript(name, path, source, read_header(source, os.path.basename(path)))
        except KosmoError as error:
            raise CallError("plugin_error", error.what) from error

    def sites(self, script: UserScript) -> Sequence[Site]:
        """Return the places where a script calls functions of integrations, for the guards of a run."""
        source, sites = self._sites.get(script.name, (b"", ()))
        if source != script.source:
            from kosmolua.check.checker import Checker

            sites = Checker(self._catalog()).check(script.chunk).sites
            self._sites[script.name] = script.source, sites
        return sites

    def save(self, name: str, source: bytes) -> str:
        """Write a script, in place of one of this name, and return its path; from then on it can be called.

        Raises:
            ConfigError: It cannot be written.
        """
        path = self._files[name][0] if name in self._files else os.path.join(self.folder, f"{name}{SUFFIX}")
        try:
            os.makedirs(self.folder, exist_ok=True)
            replace_file(path, source, keeps_mode=True)
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
        self._forget()
        return path

    def remove(self, name: str) -> None:
        """Remove a script that is there; raise ConfigError if it cannot be removed."""
        path = self.script(name).path
        try:
            os.remove(path)
        except OSError as error:
            raise ConfigError(f"{path} cannot be removed: {error.strerror}") from None
        self._forget()

    def _forget(self) -> None:
        with self._lock:
            vars(self).pop("_files", None)
            self._plugin = None

    def load(self, name: str) -> Plugin:
        """Return all scripts as one integration.

        Raises:
            UnknownPath: There are no scripts, or ``name`` is not ``scripts``.
        """
        if name != SCRIPTS or not self._files:
            what = f"app.scripts has no '{name[:80]}'" if self._files else "app.scripts has no scripts"
            raise UnknownPath(what, hint=f"put scripts into {self.folder}")
        with self._lock:
            if self._plugin is None:
                integration = Integration(
                    SCRIPTS, _NoAccount, about="Your own scripts.", prefix="", root=SCRIPTS, fields=()
                )
                self._plugin = Plugin(integration, self.folder, "scripts", lambda: None)
                self._fill(integration)
            return self._plugin

    listed = load

    def prose(self, name: str) -> str | None:
        return None

    def sources(self, name: str) -> list[str]:
        return []

    @lazy
    def _files(self) -> dict[str, list[str]]:
        """The paths by function name; an ambiguous name has several."""
        try:
            found = sorted(os.listdir(self.folder))
        except OSError:
            return {}
        files: dict[str, list[str]] = {}
        for file in found:
            name = re.sub(r"\W", "_", file.removesuffix(SUFFIX))
            if file.endswith(SUFFIX) and not objection_to_function(name):
                files.setdefault(name, []).append(os.path.join(self.folder, file))
        return files

    def _fill(self, integration: Integration) -> None:
        """Register each script, as ``read`` only if the checker proves that every call in it reads.

        Since scripts can call scripts, this is repeated until no effect changes. An unreadable script is a broken
        function.
        """
        scripts = {}
        for name in self._files:
            try:
                scripts[name] = self.script(name)
            except CallError as error:
                integration.broken[name] = PluginError(error.what, origin=self._files[name][0], hint=error.hint)
        integration.functions.own.update({name: _function(script, "write") for name, script in scripts.items()})
        from kosmolua.check.checker import Checker

        checker, left = Checker(self._catalog()), dict(scripts)
        while left:
            effects = {name: _effect(checker, script) for name, script in left.items()}
            changed = [name for name, effect in effects.items() if effect != integration.functions.own[name].effect]
            for name in changed:
                integration.functions.own[name] = replace(integration.functions.own[name], effect=effects[name])
            left = {name: script for name, script in left.items() if name not in changed} if changed else {}


def _read(name: str, path: str, limit: int) -> bytes:
    try:
        with open(path, "rb") as file:
            source = file.read(limit + len(_MARK) + 1)
    except OSError as error:
        raise CallError("plugin_error", f"The script {name} cannot be read: {error.strerror}") from None
    if len(source.removeprefix(_MARK)) > limit:
        what = f"The script {name} is not read: {os.path.basename(path)} is larger than {spell_size(limit)}"
        hint = f"split it into several scripts, or {LIMITS['max_source'].remedy}"
        raise CallError("plugin_error", what, hint=hint)
    return source


def _effect(checker: Checker, script: UserScript) -> Effect:
    report = checker.check(script.chunk)
    if report.is_read_only:
        return "read"
    return [each for each in EFFECTS if each == "write" or any(charge.effect == each for charge in report.bill)][-1]


def _function(script: UserScript, effect: Effect) -> Function:
    """Return the function for a script; its handler refuses calls, because scripts run in the sandbox."""

    def refuse(opened: object, /, **given: object) -> NoReturn:
        from shlex import quote

        what = f"{SCRIPTS}.{script.name} is a Lua script and cannot be called from outside the sandbox"
        raise CallError("denied", what, hint=f"run it with: kosmolua run {quote(str(script.path))}")

    doc = script.header.doc or f"Run {script.file}."
    return Function(
        name=script.name,
        full_name=script.name,
        effect=effect,
        handler=refuse,
        parameters=script.header.parameters,
        doc=doc,
        returns=script.header.returns,
        origin=script.path,
    )
