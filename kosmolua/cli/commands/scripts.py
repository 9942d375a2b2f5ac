"""``kosmolua scripts``: list the scripts of the user that other scripts can call."""

from __future__ import annotations

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, listing_options
from kosmolua.cli.scripts import open_to_list


@click.command("scripts", cls=Command, epilog=examples("kosmolua scripts", "kosmolua scripts --scripts ./lua --json"))
@listing_options
def command(options: Options) -> int:
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
