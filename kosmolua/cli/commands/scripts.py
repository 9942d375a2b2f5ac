"""``kosmolua scripts``: list the scripts of the user that other scripts can call."""

from __future__ import annotations

import re
from pathlib import Path

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, ListGroup, examples, listing_options
from kosmolua.cli.scripts import open_to_list
from kosmolua.errors import ConfigError, UsageError

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
    epilog=examples("kosmolua scripts", "kosmolua scripts --scripts ./lua --json", "kosmolua scripts new report"),
)
def command() -> None:
    """List your scripts that other scripts can call, or begin a new one."""


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
    console.say(f"Next: kosmolua run {path} --simulate")


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
        console.table("Scripts", ["Script", "Effect", "About", "File"], rows)
        if not functions and not mistakes:
            console.complain(f"there are no scripts in {scripts.folder}")
    for mistake in mistakes:
        console.complain_of(mistake)
    return 1 if mistakes else 0
