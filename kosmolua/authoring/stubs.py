"""LuaCATS definitions of everything that scripts can use, for editors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kosmolua.docs.outline import Integrations, Sketch
from kosmolua.docs.sections import has_page_of_sections, in_sections, sections_of
from kosmolua.errors import ConfigError, PluginError
from kosmolua.lua import environment
from kosmolua.schema import luacats
from kosmolua.schema.function import Function
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import APP, FLAT, ROOT, lua_path, qualified, root_and_name

FOLDER = "kosmolua"
"""The folder of the definitions, inside the workspace's folder."""

SETTINGS = {
    "$schema": "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
    "runtime.version": "Lua 5.4",
    "runtime.builtin": {"io": "disable", "package": "disable"},
    "workspace.checkThirdParty": False,
    "workspace.library": [FOLDER],
}
"""The settings of lua-language-server that the definitions need, see https://luals.github.io/wiki/settings/."""

_META = "---@meta"
MAX_TYPES = 250_000
"""The most characters of types in one file, since editors warn about large ones."""


def write_stubs(catalog: Integrations, folder: Path) -> list[Path]:
    """Write the definitions and the settings into the editor's workspace, and return all paths.

    An integration that cannot be loaded has no functions, and a comment says why. An existing ``.luarc.json`` is
    extended.

    Raises:
        ConfigError: A file cannot be written, or ``.luarc.json`` is not plain JSON and was left unchanged.
    """
    written = [write_file(folder / FOLDER / name, text) for name, text in _definitions(catalog)]
    settings = folder / ".luarc.json"
    return [*written, write_file(settings, json.dumps(_settings(settings), indent=2))]


def write_file(path: Path, text: str) -> Path:
    """Write a file, in a folder that is made if there is none, and return its path.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _settings(path: Path) -> dict[str, object]:
    if not path.exists():
        return dict(SETTINGS)
    try:
        present = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise _not_json(path, f"the file is not plain JSON: {error}") from None
    if not isinstance(present, dict):
        raise _not_json(path, "the file does not contain a JSON object")
    return present | SETTINGS


def _not_json(path: Path, problem: str) -> ConfigError:
    what = f"The definitions are written, but {path} is unchanged: {problem}; add these settings by hand"
    return ConfigError(what, hint=json.dumps(SETTINGS, indent=2))


def _definitions(catalog: Integrations) -> Iterator[tuple[str, str]]:
    names = catalog.names()
    yield "globals.lua", environment.definitions()
    for root in sorted({ROOT, *(root_and_name(name)[0] for name in names)}):
        if root in FLAT:
            as_field = luacats.class_of(APP, "", [luacats.field(root, lua_path(root))])
            yield f"{root}.lua", f"{_definition(catalog, root)}\n\n{as_field}"
            continue
        inside = [short for each, short in map(root_and_name, names) if each == root]
        yield f"{root}.lua", index(root, inside)
        for name in inside:
            yield from _files(catalog, root, name)


def _files(catalog: Integrations, root: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield the definition of an integration; one with many functions has a file for each section of them."""
    yield f"{root}/{name}.lua", _definition(catalog, qualified(root, name))
    try:
        integration = catalog.listed(qualified(root, name))
    except PluginError:
        return
    namespace = lua_path(integration.name)
    sections = _sections(integration)
    types = luacats.record_types(list(integration.functions.values()), namespace) if sections else ()
    for number, part in enumerate(_parts(types), start=1):
        yield f"{root}/{name}/types{number}.lua", "\n\n".join([_META, *part])
    for section, names in sections.items():
        functions = [integration.functions[each] for each in names]
        parts = [_META, *luacats.argument_types(functions, namespace), *_members(integration, functions, "")]
        yield f"{root}/{name}/{section}.lua", "\n\n".join(parts)


def _parts(declarations: Iterable[str]) -> Iterator[list[str]]:
    """Yield the declarations in order, in lists of at most :data:`MAX_TYPES` characters, or of one."""
    part: list[str] = []
    for each in declarations:
        if part and sum(map(len, part)) + len(each) > MAX_TYPES:
            yield part
            part = []
        part.append(each)
    yield from [part] if part else []


def _sections(integration: Integration) -> Mapping[str, Mapping[str, Sketch]]:
    outline = in_sections(integration)
    return sections_of(outline) if outline and has_page_of_sections(outline) else {}


def _members(integration: Integration, functions: Sequence[Function], about: str) -> Iterator[str]:
    """Yield the declaration of an integration's account with these functions, and with their full names."""
    namespace = lua_path(integration.name)
    yield luacats.class_of(f"{namespace}.account", about, []) + "\nlocal account = {}"
    names = {function.name for function in functions}
    yield from (luacats.function_stub(function, namespace, "account") for function in functions)
    for full_name, name in integration.aliases.items():
        if name in names:
            yield f"---The full name of `{name}`.\naccount.{full_name} = account.{name}"


def _definition(catalog: Integrations, name: str) -> str:
    try:
        return definition(catalog.listed(name), catalog.accounts(name))
    except PluginError as error:
        reason = f"Cannot be loaded: {' '.join(error.message.split())}"
        return f"{_META}\n\n{luacats.class_of(lua_path(name), reason, [])}"


def index(root: str, names: Sequence[str]) -> str:
    """Return the definition of a root, such as ``app.integrations``, with these integrations."""
    path = f"{APP}.{root}"
    fields = [luacats.field(name, f"{path}.{name}") for name in names]
    parts = [_META, luacats.class_of(path, "What is installed.", fields)]
    if root != ROOT:
        parts.append(luacats.class_of(APP, "", [luacats.field(root, path)]))
    return "\n\n".join(parts)


def definition(integration: Integration, accounts: Sequence[str]) -> str:
    """Return the definition of an integration: types, functions that are in no section, a field for each account."""
    namespace = lua_path(integration.name)
    functions = list(integration.functions.values())
    sections = _sections(integration)
    elsewhere = {name for names in sections.values() for name in names}
    own = [function for function in functions if function.name not in elsewhere]
    holder = f"{namespace}.account"
    fields = [luacats.field(account, holder) for account in dict.fromkeys(["default", *accounts])]
    parts = [
        _META,
        *luacats.argument_types(own, namespace),
        *(() if sections else luacats.record_types(functions, namespace)),
        *_members(integration, own, f"One account of {integration.name}."),
        luacats.class_of(f"{namespace}: {holder}", " ".join(integration.about.split()), fields),
    ]
    return "\n\n".join(parts)
