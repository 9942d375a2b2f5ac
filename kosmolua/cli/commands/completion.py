"""``kosmolua completion``: print the script that makes a shell complete command lines."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from kosmolua.cli import console
from kosmolua.cli.parsing import Command, examples
from kosmolua.cli.program import program

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_KOSMOLUA_COMPLETE"
"""The environment variable with which a shell asks the program to complete a command line."""


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
    """Print the script that makes a shell complete commands, functions, arguments and pages."""
    completion = get_completion_class(shell)
    assert completion
    # This calls click's base class for bash too, since click's class for bash runs bash to find its version.
    console.line(ShellComplete.source(completion(program, {}, "kosmolua", VARIABLE)).rstrip("\n"))
