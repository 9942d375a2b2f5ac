"""``kosmolua lsp``: serve an editor over the Language Server Protocol."""

from __future__ import annotations

import os

import click

from kosmolua.cli import console
from kosmolua.cli.options import Options
from kosmolua.cli.parsing import Command, examples, listing_options
from kosmolua.cli.scripts import open_to_list
from kosmolua.cli.streams import standard


@click.command("lsp", cls=Command, epilog=examples("kosmolua lsp", "kosmolua lsp --accounts production.toml"))
@listing_options
def command(options: Options) -> None:
    """Serve an editor on standard input and output, over the Language Server Protocol.

    The editor starts this program for Lua files. It gets the findings of kosmolua check as one types, completion of
    names, arguments and their values, the pages of functions, and a lens that says what the script may do.
    """
    console.need("lsp", "The language server needs", "pygls")
    from kosmolua.cli.language_server import language_server

    with open_to_list(options) as runtime:
        reading, writing = os.fdopen(os.dup(standard.input), "rb"), os.fdopen(os.dup(standard.output), "wb")
        language_server(runtime).start_io(reading, writing)
