"""``kosmolua completion``: print a shell script that turns on completion of kosmolua's command lines."""

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
    """Print a shell script that turns on the completion of commands, functions, arguments and pages.

    Let your shell evaluate the script when it starts, as in the examples.
    """
    completion = get_completion_class(shell)
    assert completion
    # This calls click's base class for bash too, since click's class for bash runs bash to find its version.
    console.line(ShellComplete.source(completion(program, {}, "kosmolua", VARIABLE)).rstrip("\n"))
