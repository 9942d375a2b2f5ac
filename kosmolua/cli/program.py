"""The program ``kosmolua``: imports a command when it is used, runs it, and reports its errors."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable, Sequence
from io import StringIO
from shutil import get_terminal_size
from typing import Any

import click
from click.shell_completion import CompletionItem

from kosmolua import __version__, entry_points
from kosmolua.cli import console, terminal
from kosmolua.cli.console import guarded, status_of, worded
from kosmolua.cli.options import OPTIONS
from kosmolua.cli.parsing import Group, examples
from kosmolua.cli.streams import OutputLost
from kosmolua.entry_points import EntryPoint, function_of, installed, the_one
from kosmolua.errors import KosmoError, UsageError
from kosmolua.processes.launch import WorkerProcess

COMMANDS = {
    "Run": {
        "run": "Run a Lua script.",
        "replay": "Repeat a recorded run from its recording.",
        "resume": "Continue a recorded run where it was ended.",
        "apply": "Make the writes of a plan, and no others.",
        "plans": "List plans, and show one.",
        "undo": "Take back what a recorded run wrote.",
        "check": "Find mistakes in scripts without running them.",
        "call": "Call one function, without Lua.",
        "fleet": "Run a script over many inputs.",
        "repl": "Try Lua line by line.",
        "mcp": "Serve agents over the Model Context Protocol.",
        "serve": "Serve several tenants over HTTP, with web pages.",
        "audit": "Verify and export the audit of a server.",
        "schedules": "List what a server runs by the clock and by hooks.",
        "server": "Look after a server: its runs, tenants and sessions.",
    },
    "Read": {
        "docs": "Read and search the documentation.",
        "journal": "Show the calls in a journal.",
        "runs": "List the latest runs.",
        "flow": "Show what others' texts decided in a run.",
        "policy": "Suggest permissions from runs, and test them.",
    },
    "Set up": {
        "integrations": "List, make and check integrations.",
        "accounts": "List and check accounts.",
        "servers": "List, add and check MCP servers.",
        "install": "Set KosmoLua up in MCP clients, such as editors.",
        "uninstall": "Take KosmoLua out of MCP clients again.",
        "scripts": "List, add and remove your own scripts.",
        "stubs": "Write definitions for editors.",
        "lsp": "Serve an editor: findings, completion and help.",
        "completion": "Print the completion script for a shell.",
        "doctor": "Show what is set up and what is wrong.",
    },
}
MAX_HELP_WIDTH = 80
EPILOG = examples(
    "kosmolua run report.lua --simulate",
    "kosmolua run -e 'print(app.integrations.render2.get_current_user().email)'",
    "kosmolua call render2.production.list_services limit=5",
    "kosmolua docs integrations.render2",
)


BUILT_IN = {name: about for group in COMMANDS.values() for name, about in group.items()}
"""The sentence about each command that is built in, by its name."""


class Program(Group):
    """The group of all commands. A command is imported when it is used: from the module with its name, or from an
    installed package, whose commands cannot hide those that are built in.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in the order in which the help lists them."""
        return [*BUILT_IN, *_installed()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, and return it, or None if no command has this name.

        Raises:
            PluginError: The package that has it is broken.
        """
        command: click.Command | None = None
        if cmd_name in BUILT_IN:
            command = importlib.import_module(f"kosmolua.cli.commands.{cmd_name}").command
        elif points := _installed().get(cmd_name):
            command = function_of(the_one(points))
            if not isinstance(command, click.Command):
                raise points[0].failed("is not a click command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the command line names. The fault of an installed one is a PluginError."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, KosmoError, OSError):
            raise
        except Exception as error:
            if points := _installed().get(str(ctx.invoked_subcommand)):
                raise points[0].failed(error) from error
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names and descriptions of the commands, in groups, without importing the commands."""
        others = {name: f"From the package {points[0].package}." for name, points in _installed().items()}
        for title, group in (COMMANDS | ({"Installed": others} if others else {})).items():
            with formatter.section(title):
                formatter.write_dl(list(group.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands whose names begin with a typed text, without importing the commands."""
        known = self.list_commands(ctx)
        found = [CompletionItem(name, help=BUILT_IN.get(name)) for name in known if name.startswith(incomplete)]
        return found or click.Command.shell_complete(self, ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line up to the name of the command. A command's option before this name is an error."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if not any(error.option_name in option.names for option in OPTIONS):
                raise
            refusal = f"{error.option_name} goes after the command, as in kosmolua run {error.option_name}."
            raise click.UsageError(refusal, ctx) from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the command line names; if there is none, raise a UsageError with similar names."""
        from kosmolua.suggestions import did_you_mean

        if args and args[0] not in BUILT_IN and args[0] not in _installed() and not args[0].startswith("-"):
            hint = did_you_mean(args[0], self.list_commands(ctx)) or "see kosmolua --help"
            raise click.UsageError(f"There is no command {args[0]!r} ({hint}).", ctx)
        return super().resolve_command(ctx, args)


def _installed() -> dict[str, list[EntryPoint]]:
    """Return the commands of installed packages, without those that would hide one that is built in."""
    return {name: points for name, points in installed(entry_points.COMMANDS).items() if name not in BUILT_IN}


@click.command(cls=Program, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="kosmolua %(version)s")
def program() -> None:
    """Run Lua that a language model wrote, safely, against web APIs with your accounts."""


def run_program(arguments: Sequence[str], worker: WorkerProcess | None) -> int:
    """Run a command line with click, in ``worker`` if it runs a script, and return the exit status."""
    in_json = "--json" in itertools.takewhile(lambda word: word != "--", arguments)

    def work() -> int:
        try:
            width = min(get_terminal_size().columns, MAX_HELP_WIDTH)
            status = program.main([*arguments], "kosmolua", standalone_mode=False, obj=worker, terminal_width=width)
            return status if isinstance(status, int) else 0
        except click.Abort:
            click.echo(err=True)  # ends the line of the question
            raise KeyboardInterrupt from None
        except click.ClickException as error:
            if in_json:
                raise UsageError(error.format_message()) from None
            said = StringIO()
            error.show(said)
            sys.stderr.write(terminal.fitted(said.getvalue(), sys.stderr, console.INDENT))
            return error.exit_code

    return guarded(_answering(work, None if arguments[0] == "repl" else 2) if in_json else work)


def _answering(work: Callable[[], int], indent: int | None) -> Callable[[], int]:
    """Return a function that runs a command for ``--json``. It prints an error as a JSON object on standard output."""

    def answer() -> int:
        try:
            return work()
        except OutputLost:
            raise
        except KosmoError as error:
            refused = error
        except OSError as error:
            refused = KosmoError(worded(error))
        from kosmolua.runs import Outcome

        console.as_json(Outcome([], "", refused, []).to_json(), indent)
        return status_of(refused)

    return answer
