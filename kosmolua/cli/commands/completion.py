"""``kosmolua completion``: the script that has a shell complete command lines."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from kosmolua.cli import console
from kosmolua.cli.parsing import Command, examples
from kosmolua.cli.program import program

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_KOSMOLUA_COMPLETE"
"""Tells the program, when a shell sets it, to complete a command line."""


@click.command(
    "completion",
    cls=Command,
    epilog=examples(
        """echo 'eval "$(kosmolua completion bash)"' >> ~/.bashrc""",
        """echo 'eval "$(kosmolua completion zsh)"' >> ~/.zshrc""",
        "kosmolua completion fish > ~/.config/fish/completions/kosmolua.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS), metavar="|".join(SHELLS))
def command(shell: str) -> None:
    """Print the script that has a shell complete commands, functions, arguments and pages."""
    completion = get_completion_class(shell)
    assert completion
    # The source of click's own class, for bash too: its override runs bash to look at the version.
    console.line(ShellComplete.source(completion(program, {}, "kosmolua", VARIABLE)).rstrip("\n"))
