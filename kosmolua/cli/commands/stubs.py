"""``kosmolua stubs``: write definitions of all functions, so that editors can complete and check scripts."""

from __future__ import annotations

from pathlib import Path

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, listing_options
from kosmolua.cli.scripts import open_to_list


@click.command("stubs", cls=Command, epilog=examples("kosmolua stubs", "kosmolua stubs ~/scripts --plugin weather.py"))
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), default=".")
@listing_options
def command(folder: Path, options: Options) -> None:
    """Write LuaCATS definitions, and .luarc.json, for editors with lua-language-server.

    DIR is the editor's workspace, by default the current folder. The definitions go to DIR/kosmolua; settings that
    DIR/.luarc.json already has are kept. Editors then complete and check calls of app.integrations, and all globals of
    scripts.
    """
    from kosmolua.authoring.stubs import write_stubs

    written = [str(path) for path in write_stubs(open_to_list(options).catalog, folder)]
    console.answer(written, lambda: console.line("\n".join(written)), in_json=options.json)
