"""``kosmolua scripts``: list, add, show and remove the scripts of the user, which are commands and functions."""

from __future__ import annotations

import re
from difflib import unified_diff
from pathlib import Path
from shlex import quote

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, ListGroup, examples, listing_options
from kosmolua.cli.scripts import name_of, open_to_list, read_file
from kosmolua.cli.streams import names_standard_input, standard
from kosmolua.errors import ConfigError, UsageError
from kosmolua.lua.header import read_header
from kosmolua.schema.names import objection_to_function

SCRIPT = """--- {title}: the services and their states.
---@param limit? integer How many services to list (default: 20)

local page = app.integrations.render2.list_services({{ limit = params.limit }})

for _, service in ipairs(page.services) do
  print(service.name, service.status)
end
"""
"""The script that a new file has, which runs with --simulate."""
STYLUA = """# how StyLua formats the scripts of this folder
syntax = "Lua54"
column_width = 120
indent_type = "Spaces"
indent_width = 2
"""


@click.group(
    "scripts",
    cls=ListGroup,
    epilog=examples(
        "kosmolua scripts",
        "kosmolua scripts --scripts ./lua --json",
        "kosmolua scripts add report.lua",
        "kosmolua run report",
    ),
)
def command() -> None:
    """List, add, show and remove your scripts, which kosmolua run NAME runs and other scripts can call."""


@command.command("new", cls=Command)
@click.argument("name")
@click.option("--dir", "folder", metavar="DIR", type=click.Path(path_type=Path), default=".", help="Its folder [.].")
def new(name: str, folder: Path) -> None:
    """Write a script NAME.lua with a header and one call, and .stylua.toml if the folder has none.

    An existing script is not replaced.
    """
    stem = name.removesuffix(".lua")
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", stem):
        raise UsageError(
            f"{name!r} cannot be the name of a script: write small letters, digits and _", hint="try report"
        )
    path, settings = folder / f"{stem}.lua", folder / ".stylua.toml"
    if path.exists():
        raise UsageError(f"{path} exists already, and is not replaced", hint="choose another name")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(SCRIPT.format(title=stem.replace("_", " ").capitalize()), encoding="utf-8")
        if not settings.exists():
            settings.write_text(STYLUA, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be written: {error.strerror}") from None
    console.say(f"Written: {path}")
    console.say(f"Next: kosmolua run {quote(str(path))} --simulate")


@command.command("list", cls=Command)
@listing_options
def list_scripts(options: Options) -> int:
    """List your scripts that other scripts can call in app.scripts, with their parameters and effects.

    They are the .lua files in the folder that --scripts names, or else in the folder scripts beside accounts.toml. The
    effect of a script is write, unless the check proves that the script only reads. The exit status is 1 if one of the
    files cannot be read, or if several have the same name in app.scripts.
    """
    with open_to_list(options) as runtime:
        scripts = runtime.scripts
        found = runtime.catalog.integration(scripts.root) if scripts.names() else None
        functions = list(found.functions.values()) if found else []
        mistakes = list(found.broken.values()) if found else []
    if options.json:
        names = {"name": "name", "signature": "signature", "effect": "effect", "summary": "about", "origin": "file"}
        console.as_json([{said: getattr(each, name) for name, said in names.items()} for each in functions])
    else:
        rows = [[each.signature, each.effect, each.summary, each.origin] for each in functions]
        if rows:
            console.table("Scripts", ["Script", "Effect", "About", "File"], rows)
        elif not mistakes:
            console.complain(f"there are no scripts in {scripts.folder}")
    for mistake in mistakes:
        console.complain_of(mistake)
    return 1 if mistakes else 0


_yes_option = click.option("-y", "--yes", is_flag=True, help="Confirm without being asked.")


@command.command("add", cls=Command)
@click.argument("file", type=click.Path())
@click.option("--name", metavar="NAME", help="Its name [that of the file].")
@_yes_option
@listing_options
def add(file: str, *, name: str | None, yes: bool, options: Options) -> None:
    """Save a copy of the script FILE, or of standard input with -, which kosmolua run NAME runs from then on.

    Before another script of this name is replaced, you see the difference and are asked. Where nobody can be asked, it
    is replaced only with --yes.
    """
    if name is None and names_standard_input(file):
        raise UsageError("A script from standard input has no name", hint="give it one with --name")
    key = _key_of(name or Path(file).stem)
    if objection := objection_to_function(key):
        raise UsageError(f"{key!r} cannot be the name of a script: {objection}", hint="choose one with --name")
    with open_to_list(options) as runtime:
        source, scripts = read_file(file, runtime.limits.max_source), runtime.scripts
        if len(source) > runtime.limits.max_source:
            raise runtime.limits.exceeded("source")
        read_header(source, name_of(file))
        former = scripts.script(key).source if key in scripts else source
        if former != source:
            before, after = (each.decode("utf-8", "replace").splitlines() for each in (former, source))
            console.complain("\n".join(unified_diff(before, after, "before", "after", lineterm="")))
            console.confirm(f"Replace the script {key}?", yes=yes)
        console.say(f"Saved: {scripts.save(key, source)}")
    console.say(f"Next: kosmolua run {key}")


@command.command("show", cls=Command)
@click.argument("name")
@listing_options
def show(name: str, options: Options) -> None:
    """Print the text of your script NAME."""
    with open_to_list(options) as runtime:
        script = runtime.scripts.script(_key_of(name))
    if options.json:
        console.as_json({"name": script.name, "file": script.path, "source": script.source.decode("utf-8", "replace")})
    else:
        standard.write(script.source)


@command.command("remove", cls=Command)
@click.argument("name")
@_yes_option
@listing_options
def remove(name: str, *, yes: bool, options: Options) -> None:
    """Remove your script NAME, after asking."""
    with open_to_list(options) as runtime:
        script = runtime.scripts.script(_key_of(name))
        console.confirm(f"Remove {script.path}?", yes=yes)
        runtime.scripts.remove(script.name)
    console.say(f"Removed: {script.path}")


def _key_of(name: str) -> str:
    """Return the name of the function of a script, of which the name of a file is another spelling."""
    return re.sub(r"\W", "_", name.removesuffix(".lua"))
