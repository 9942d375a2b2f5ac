"""``kosmolua stubs``: write definitions of all functions, so that editors can complete and check scripts."""

from __future__ import annotations

from pathlib import Path

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, listing_options
from kosmolua.cli.scripts import open_to_list


@click.command(
    "stubs",
    cls=Command,
    epilog=examples("kosmolua stubs", "kosmolua stubs ~/scripts --plugin weather.py", "kosmolua stubs --python"),
)
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--python", is_flag=True, help="Write stubs for Python programs, by default in DIR typings.")
@listing_options
def command(folder: Path | None, python: bool, options: Options) -> None:
    """Write LuaCATS definitions, and .luarc.json, for editors with lua-language-server.

    DIR is the editor's workspace, by default the current folder. The definitions go to DIR/kosmolua; settings that
    DIR/.luarc.json already has are kept. Editors then complete and check calls of app.integrations, and all globals of
    scripts.

    With --python, stubs for Python programs: runtime.render2.list_services(limit=5) is then completed and checked. In
    the folder typings, pyright finds them; mypy does with the setting mypy_path = "typings".
    """
    from kosmolua.authoring.python_stubs import FOLDER, write_python_stubs
    from kosmolua.authoring.stubs import write_stubs

    catalog = open_to_list(options).catalog
    paths = write_python_stubs(catalog, folder or Path(FOLDER)) if python else write_stubs(catalog, folder or Path())
    written = [str(path) for path in paths]
    console.answer(written, lambda: console.line("\n".join(written)), in_json=options.json)
