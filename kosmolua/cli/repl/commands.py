"""The commands of the REPL, such as ``:help``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from kosmolua.calls.records import CallRecord
from kosmolua.cli import console
from kosmolua.cli.commands.accounts import permissions_of, show_permissions
from kosmolua.errors import UsageError
from kosmolua.folders import expanded
from kosmolua.limits import LIMITS
from kosmolua.runtime import Runtime
from kosmolua.suggestions import did_you_mean

MAX_FILES = 200


class Quit(Exception):
    """Raised when the user leaves the REPL."""


class ReplCommand(NamedTuple):
    """A command of the REPL: what its help says, and the function that runs it with its argument, or an empty string.

    One that ``shows`` text for people is refused with ``--json``.
    """

    argument: str
    about: str
    work: Callable[[str], None]
    shows: bool = True


class Commands:
    """Finds and runs the commands of a REPL.

    ``load`` runs a file as a chunk. ``record`` begins to record the session in a file, or, for None, in a new one, or
    ends that. ``reset`` begins a new session, and ``calls`` returns the calls of it. Without ``for_people``, commands
    cannot show text.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        load: Callable[[Path], None],
        record: Callable[[Path | None], None],
        reset: Callable[[], None],
        calls: Callable[[], list[CallRecord]],
        for_people: bool,
    ) -> None:
        self._runtime = runtime
        self._load = load
        self._calls = calls
        self._for_people = for_people

        def read(page: str) -> None:
            console.markdown(runtime.docs.read(page) if page else runtime.docs.list())

        self._table = {
            "doc": ReplCommand("PAGE", "Read a page of the documentation; without one, list the pages.", read),
            "search": ReplCommand("WORDS", "Find pages.", lambda words: console.markdown(runtime.docs.search(words))),
            "accounts": ReplCommand(
                "", "List the accounts and their permissions.", lambda _: show_permissions(permissions_of(runtime))
            ),
            "calls": ReplCommand("", "List the calls of this session.", self._list_calls),
            "limits": ReplCommand("", "List the limits of each chunk.", self._limits),
            "load": ReplCommand("FILE", "Run a file in this session.", self._load_file, shows=False),
            "record": ReplCommand(
                "[FILE]",
                "Start recording the session, or stop recording it.",
                lambda name: record(Path(expanded(name)) if name else None),
                shows=False,
            ),
            "reset": ReplCommand("", "Forget all state.", lambda _: reset(), shows=False),
            "help": ReplCommand("", "Show this help.", self._help),
            "quit": ReplCommand("", "Leave, as Ctrl-D does.", _leave, shows=False),
        }

    @property
    def names(self) -> dict[str, str]:
        """The names of the commands, such as ``:help``, each with a description."""
        return {f":{name}": command.about for name, command in self._table.items()}

    def do(self, line: str) -> None:
        """Run the command that a line names, such as ``:load report.lua``. Unique beginnings of names are accepted.

        Raises:
            Quit: The command was ``:quit``.
            KosmoError: The command does not exist, or it failed.
        """
        name, _, argument = line.strip().partition(" ")
        command = self._find(name)
        if argument and not command.argument:
            raise UsageError(f"{name} takes no argument, but {argument.strip()!r} follows it")
        if command.shows and not self._for_people:
            raise UsageError(f"{name} shows text for people, but with --json only JSON is written (leave out --json)")
        command.work(argument.strip())

    def _find(self, name: str) -> ReplCommand:
        known = {f":{each}": command for each, command in self._table.items()}
        beginning = [each for each in known if name != ":" and each.startswith(name)]
        chosen = name if name in known else beginning[0] if len(beginning) == 1 else None
        if chosen is None:
            raise UsageError(f"There is no command {name}", hint=did_you_mean(name, known) or "see :help")
        return known[chosen]

    def _list_calls(self, _: str) -> None:
        names, calls = ("path", "account", "effect", "status"), self._calls()
        rows = [[*(call[name] for name in names), f"{call['duration_ms'] or 0:.1f}", call["error"]] for call in calls]
        console.table("Calls", ["path", "account", "effect", "status", "ms", "error"], rows)

    def _limits(self, _: str) -> None:
        limits = self._runtime.limits
        rows = [[limit.code or name, limits.spell(name), limit.remedy] for name, limit in LIMITS.items()]
        console.table("Limits", ["limit", "value", "to change it"], rows)

    def _load_file(self, name: str) -> None:
        if not name:
            raise UsageError("Name a file, as in :load report.lua")
        self._load(Path(expanded(name)))

    def _help(self, _: str) -> None:
        console.say(
            "An expression shows its values, and the first of them stays in _. Top-level locals are kept, too.\n"
        )
        rows = [[f":{name} {command.argument}".strip(), command.about] for name, command in self._table.items()]
        console.table("Commands", ["command", "does"], rows)


def _leave(_: str) -> None:
    raise Quit


def files_that_begin_with(text: str) -> Iterator[str]:
    """Yield the paths in the folder that a text names, those of folders with a slash at the end. The caller selects."""
    folder = text[: text.rfind("/") + 1]
    try:
        entries = sorted(Path(expanded(folder or ".")).iterdir())
    except (OSError, ValueError):
        return
    for entry in entries[:MAX_FILES]:
        yield f"{folder}{entry.name}{'/' if entry.is_dir() else ''}"
