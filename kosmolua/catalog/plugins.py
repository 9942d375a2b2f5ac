"""Finds and loads the plugins that define integrations, and reports those that cannot be loaded."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, source_hash
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import NamedTuple, TypeAlias

from kosmolua.catalog.loading import LOAD_TIMEOUT, guarded
from kosmolua.concurrency import lazy
from kosmolua.entry_points import INTEGRATIONS, PROVIDERS, EntryPoint, ask, installed
from kosmolua.errors import ConfigError, PluginError, UnknownPath
from kosmolua.folders import config_folder, expanded, objection_to_writers
from kosmolua.plugin_files import files_of
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import ROOT, lua_path
from kosmolua.suggestions import did_you_mean, list_of

Named: TypeAlias = "str | os.PathLike[str] | Integration"
_PACKAGE = "kosmolua_integrations"
BUNDLED = "bundled"
_RENAME = "rename it with a-z, 0-9 and _, a letter first"


class Plugin(NamedTuple):
    """A loaded integration.

    Args:
        integration: The integration.
        origin: The plugin's file, or the value of its entry point.
        place: How it was found: ``bundled``, ``user``, ``entry point``, ``provider``, ``--plugin``, ``scripts``, or
            ``given`` for an object.
        prose: Returns the hand-written part of its documentation page, or None.
    """

    integration: Integration
    origin: str
    place: str
    prose: Callable[[], str | None]


Found: TypeAlias = "Plugin | PluginError | Callable[[], Plugin]"
"""A plugin, why it cannot be loaded, or what loads it."""


class PluginFolder(NamedTuple):
    """A folder of plugins, each a module or package named like its integration; users know it by ``label``."""

    label: str
    folder: Path

    def names(self) -> list[str]:
        """Return the names of modules and packages; none if the folder does not exist."""
        import pkgutil

        return [module.name for module in pkgutil.iter_modules([str(self.folder)]) if module.name[0] != "_"]

    def find(self, name: str) -> ModuleSpec | None:
        """Return the import spec of a module, or None."""
        return self._spec(name) if _is_usable(name) else None

    def misnamed(self, name: str) -> str | None:
        """Return the file of a module that no integration can be named like, or None."""
        spec = self._spec(name) if not _is_usable(name) and name in self.names() else None
        return spec.origin if spec else None

    def _spec(self, name: str) -> ModuleSpec | None:
        spec = PathFinder.find_spec(f"{_package_of(self.folder)}.{name}", [str(self.folder)])
        return spec if spec and spec.origin else None


class Plugins:
    """Finds integrations by name and loads each at most once, when it is first needed.

    Args:
        named: Plugins in addition to those found in ``places`` and ``entry_points``: the paths of files or package
            folders, as with ``--plugin``, or integrations. A single plugin can be passed without a list.
        places: The folders to search. None means the bundled folder and the user's folder.
        entry_points: A function that returns the installed entry points of integrations and providers, keyed by name.
            It is called once, when the first integration is loaded or all are listed.
        load_timeout: Seconds that loading one integration may take.
    """

    root = ROOT

    def __init__(
        self,
        named: Named | Sequence[Named] = (),
        *,
        places: Sequence[PluginFolder] | None = None,
        entry_points: Callable[[], Mapping[str, Sequence[EntryPoint]]] | None = None,
        load_timeout: float = LOAD_TIMEOUT,
    ) -> None:
        self._places = usual_places() if places is None else places
        self._find_entry_points = entry_points or partial(installed, INTEGRATIONS, PROVIDERS)
        self._load_timeout = load_timeout
        each_named = [named] if isinstance(named, (str, os.PathLike, Integration)) else named
        self._given = [_wrapped(each) for each in each_named if isinstance(each, Integration)]
        paths = [Path(each) for each in each_named if not isinstance(each, Integration)]
        self._documents = [_document(path) for path in paths if is_document(path)]
        self._specs = [_spec_of_option(path) for path in paths if not is_document(path)]
        self._from_options: dict[str, list[Plugin | PluginError]] | None = None
        self._loaded: dict[str, Plugin | PluginError] = {}
        self._lock = RLock()

    def names(self) -> list[str]:
        """Return every name, sorted, loading only what ``--plugin`` gave."""
        found = {name for place in self._places for name in place.names()}
        installed = {name for name in self._entry_points if self._installed(name)}
        return sorted(found | installed | self._load_from_options().keys() | self._provided.keys())

    def load(self, name: str) -> Plugin:
        """Return a plugin, loaded when it is first needed.

        Raises:
            PluginError: The plugin cannot be loaded, or two different plugins have this name.
            UnknownPath: No plugin has this name.
        """
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
        loaded = self._loaded[name]
        if isinstance(loaded, PluginError):
            raise copy(loaded) from loaded.__cause__  # the traceback of one error grows each time it is raised
        return loaded

    listed = load

    def require(self, name: str, where: str) -> None:
        """Check that there is an integration of this name, without loading it; ``where`` begins the message.

        Raises:
            ConfigError: There is none.
        """
        if any(place.find(name) for place in self._places) or name in self.names():
            return
        hint = did_you_mean(name, self.names()) or "if it is a plugin, pass --plugin"
        raise ConfigError(f"{where} names no integration", hint=hint)

    def sources(self, name: str) -> list[str]:
        """Return the text of each Python file, without running it."""
        return [text for spec in self._unloaded(name) for text in _sources_of(spec)]

    def files(self, name: str) -> list[str] | None:
        """Return the files that an integration is made of; None if that is not known, as for one that is an object."""
        named = [str(path) for document, path in self._documents if document == name]
        own = [str(spec.origin) for spec in self._unloaded(name)]
        modules = own or list(map(_file_of, self._installed(name)))
        is_object = any(plugin.integration.name == name for plugin in self._given)
        if is_object or not (named or modules) or any(not module.endswith(".py") for module in modules):
            return None
        files = files_of([*(str(onto_folder(place.folder, name)) for place in self._places), *modules])
        return None if files is None else [*named, *files]

    def prose(self, name: str) -> str | None:
        """Return the hand-written part of the page, or None; only entry points are loaded for it."""
        specs = self._unloaded(name)
        return _read_prose(specs[0], name) if len(specs) == 1 else self.load(name).prose()

    def _unloaded(self, name: str) -> list[ModuleSpec]:
        specs = [spec for place in self._places if (spec := place.find(name))]
        return specs + [spec for spec in self._specs if spec.name.rpartition(".")[2] == name]

    def _load(self, name: str) -> Plugin | PluginError:
        candidates = self._candidates(name)
        if not candidates:
            return self._misnamed(name)
        if len(candidates) > 1:
            origins = " and ".join(candidates)
            return PluginError(f"two integrations are called {name}: {origins}", origin=origins, hint="remove one")
        (found,) = candidates.values()
        try:
            loaded = found() if callable(found) else found
        except PluginError as error:
            return error
        return _extended(loaded, self._places) if isinstance(loaded, Plugin) else loaded

    def _misnamed(self, name: str) -> PluginError:
        for place in self._places:
            if file := place.misnamed(name):
                return PluginError(f"a plugin cannot be called {name!r}", origin=file, hint=_RENAME)
        hint = did_you_mean(name, self.names()) or list_of("it has", self.names())
        raise UnknownPath(f"{lua_path()} has no '{name[:80]}'", hint=hint)

    def _candidates(self, name: str) -> dict[str, Found]:
        """Return all plugins of this name, by origin: loaded, the error of loading, or what loads it."""
        specs = {str(spec.origin): (spec, place) for place in self._places if (spec := place.find(name))}
        found = {origin: partial(self._load_spec, spec, place.label, name) for origin, (spec, place) in specs.items()}
        named = {each.origin: each for each in self._load_from_options().get(name, ())}
        installed = {
            point.value: partial(self._load_point, point, point.load, "entry point", name)
            for point in self._installed(name)
            if not any(_holds(point, origin) for origin in (*named, *found))
        }
        return {**named, **found, **installed} or self._provided.get(name, {})

    @lazy
    def _entry_points(self) -> Mapping[str, Sequence[EntryPoint]]:
        return self._find_entry_points()

    def _installed(self, name: str) -> list[EntryPoint]:
        return [point for point in self._entry_points.get(name, ()) if point.group == INTEGRATIONS]

    @lazy
    def _provided(self) -> dict[str, dict[str, Found]]:
        """What providers have, by name and origin; the error of one that fails stands under its own name."""
        found: dict[str, dict[str, Found]] = {}
        for point in (each for points in self._entry_points.values() for each in points if each.group == PROVIDERS):
            try:
                integrations = guarded(partial(_ask_provider, point), point.value, self._load_timeout)
            except PluginError as error:
                found.setdefault(point.name, {})[point.value] = error
                continue
            for name in integrations:
                load = partial(integrations.__getitem__, name)
                found.setdefault(name, {})[point.value] = partial(self._load_point, point, load, "provider", name)
        return found

    def _load_from_options(self) -> dict[str, list[Plugin | PluginError]]:
        with self._lock:
            if self._from_options is None:
                found: dict[str, list[Plugin | PluginError]] = {}
                named = [(plugin.integration.name, plugin) for plugin in self._given]
                documents = map(_load_document, self._documents)
                for name, loaded in [*named, *documents, *map(self._load_from_option, self._specs)]:
                    found.setdefault(name, []).append(loaded)
                self._from_options = found  # not before: a thread can be stopped while it loads
            return self._from_options

    def _load_from_option(self, spec: ModuleSpec) -> tuple[str, Plugin | PluginError]:
        try:
            plugin = self._load_spec(spec, "--plugin", None)
        except PluginError as error:
            return spec.name.rpartition(".")[2], error
        return plugin.integration.name, plugin

    def _load_spec(self, spec: ModuleSpec, label: str, name: str | None) -> Plugin:
        origin = str(spec.origin)
        if label != BUNDLED:
            _refuse_writers(_files_of(spec), origin)
        _compile_document(Path(origin).parent, label)
        module = guarded(partial(importlib.import_module, spec.name), origin, self._load_timeout)
        return _plugin_of(module, module, origin, label, name)

    def _load_point(self, point: EntryPoint, load: Callable[[], object], label: str, name: str) -> Plugin:
        loaded = guarded(load, _file_of(point), self._load_timeout)
        return _plugin_of(loaded, sys.modules[point.module], point.value, label, name)


def _ask_provider(point: EntryPoint) -> Mapping[str, Integration]:
    integrations = ask(point)
    if not isinstance(integrations, Mapping) or not all(isinstance(name, str) for name in integrations):
        raise point.failed("has to return a dict from names to integrations")
    return integrations


def _files_of(spec: ModuleSpec) -> list[Path]:
    """Return the files and folders of a plugin, with the compiled file that Python may run in place of the source."""
    origin = Path(str(spec.origin))
    compiled = [Path(spec.cached).parent, Path(spec.cached)] if spec.cached else []
    sources = [origin.parent, *sorted(origin.parent.rglob("*"))] if spec.submodule_search_locations else [origin]
    return [*sources, *compiled]


def _refuse_writers(files: Iterable[Path], origin: str) -> None:
    """Raise a PluginError if other users could change one of the files of a plugin."""
    for file in files:
        if objection := objection_to_writers(str(file)):
            raise PluginError(f"the plugin is not loaded, since {objection}", origin=origin)


def is_document(path: Path) -> bool:
    """Return True if a file is named like a document, such as ``pets.yaml``."""
    return path.suffix in (".json", ".yaml", ".yml")


def _document(path: Path) -> tuple[str, Path]:
    """Return an integration's name made from a document's file name, and the path."""
    if not path.is_file():
        raise ConfigError(f"There is no plugin at {path}", hint="name a .py file, a folder, or an OpenAPI document")
    name = re.sub(r"\W+", "_", path.name.partition(".")[0], flags=re.ASCII).lower()
    if not _is_usable(name):
        raise ConfigError(f"The plugin {path} cannot be called {name!r}", hint=_RENAME)
    return name, path


def _load_document(document: tuple[str, Path]) -> tuple[str, Plugin | PluginError]:
    from kosmolua.openapi import integration

    name, path = document
    try:
        _refuse_writers([path], str(path))
        loaded = integration.of_home(integration.home_of(path), name, str(path))
    except PluginError as error:
        return name, error
    return name, Plugin(loaded, str(path), "--plugin", lambda: None)


def onto_folder(parent: Path, name: str) -> Path:
    """Return the folder for a document that the user adds to an integration."""
    return parent / f"{name}.onto"


def _compile_document(folder: Path, label: str) -> None:
    """Compile the document in a plugin's folder first: it can take longer than loading may."""
    if label == "user" and (folder / "openapi.json").is_file():
        from kosmolua.openapi.store import DocumentStore, Home

        try:
            DocumentStore(Home.of_folder(folder)).database.close()
        except ConfigError as error:
            raise PluginError(error.what, origin=str(folder), hint=error.hint) from None


def _extended(plugin: Plugin, places: Sequence[PluginFolder]) -> Plugin:
    """Add the functions of the user's document, or else the plugin's own, if any."""
    integration = plugin.integration
    onto = [folder for place in places if (folder := onto_folder(place.folder, integration.name)).is_dir()]
    if integration.functions.more or not (onto or integration.extension):
        return plugin
    from kosmolua.openapi.extension import extended

    return plugin._replace(integration=extended(integration, onto[0] if onto else None))


def _wrapped(integration: Integration) -> Plugin:
    page = Path(integration.origin.rpartition(":")[0]).parent / f"{integration.name}.md"
    return Plugin(
        integration,
        integration.origin,
        "given",
        lambda: page.read_text(encoding="utf-8") if page.is_file() else None,
    )


def _sources_of(spec: ModuleSpec) -> list[str]:
    origin = Path(str(spec.origin))
    files = sorted(origin.parent.rglob("*.py")) if spec.submodule_search_locations else [origin]
    return [file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()]


def usual_places() -> list[PluginFolder]:
    """Return the bundled folder, and the user's."""
    return [PluginFolder(BUNDLED, bundled_folder()), PluginFolder("user", Path(config_folder()) / "integrations")]


def bundled_folder() -> Path:
    """Return the bundled integrations: in the wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "_bundled"
    checkout = package.parent / "integrations"
    return checkout if not inside.exists() and checkout.is_dir() else inside


def _package_of(folder: Path) -> str:
    """Put an artificial package for a folder into ``sys.modules``, so that two folders never clash; return its name."""
    digest = source_hash(os.fsencode(folder)).hex()  # the same in every process, for pickling
    package = f"{_PACKAGE}_{digest}"
    if package not in sys.modules:
        module = ModuleType(package, "The integrations of one folder.")
        module.__path__ = [str(folder)]
        sys.modules[package] = module
    return package


def _spec_of_option(path: Path) -> ModuleSpec:
    path = Path(expanded(path)).absolute()
    module = path if path.suffix == ".py" else path / "__init__.py"
    if not module.is_file():
        raise ConfigError(f"There is no plugin at {path}", hint="name a .py file, or a folder with an __init__.py")
    name = path.name.removesuffix(".py")
    spec = PluginFolder("--plugin", path.parent).find(name)
    if spec is None:
        raise ConfigError(f"The plugin {path} cannot be called {name!r}", hint=_RENAME)
    return spec


def _is_usable(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_")


def _holds(point: EntryPoint, origin: str) -> bool:
    package = os.path.realpath(_file_of(point)).removesuffix("__init__.py")
    return os.path.realpath(origin).startswith(package)


def _file_of(point: EntryPoint) -> str:
    """Return the file of an entry point's top-level package, without importing it."""
    try:
        spec = find_spec(point.module.partition(".")[0])
    except ValueError:
        spec = None
    return str(spec.origin) if spec and spec.origin else point.value


def _plugin_of(loaded: object, module: ModuleType, origin: str, label: str, name: str | None) -> Plugin:
    integration = getattr(loaded, "integration", loaded)
    if not isinstance(integration, Integration):
        raise PluginError(
            "the plugin defines no integration",
            origin=origin,
            hint='write integration = Integration("NAME", Account, about="...")',
        )
    if integration.mistakes:
        raise PluginError.all_of(integration.mistakes)
    if name and integration.name != name:
        raise PluginError(
            f"the plugin is named {name}, but its integration is named {integration.name}",
            origin=origin,
            hint="give both the same name",
        )
    return Plugin(integration, origin, label, lambda: _read_prose(module.__spec__, integration.name))


def _read_prose(spec: ModuleSpec | None, name: str) -> str | None:
    if not spec or not spec.origin or not spec.loader:
        return None
    page = Path(spec.origin).parent / f"{name}.md"
    try:
        text: bytes = spec.loader.get_data(str(page))  # type: ignore[attr-defined]
    except OSError:
        return None
    return text.decode("utf-8", "replace")
