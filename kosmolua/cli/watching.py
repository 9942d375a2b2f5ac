"""What the person at the terminal sees while a script runs, and is asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext

from kosmolua.cli import show
from kosmolua.cli.approval import Approver
from kosmolua.cli.live import Live
from kosmolua.cli.printed import Printed
from kosmolua.cli.trace import Trace
from kosmolua.journal import Record
from kosmolua.outcome import Outcome
from kosmolua.policy import Approval


class Watching:
    """The callbacks of one run, as :class:`kosmolua.run_options.RunOptions` names them.

    Args:
        approver: Asks about calls; None where nobody can be asked.
        trace: Shows each call; None where that is not wanted.
        printed: Writes what the script prints.
        live: The line that shows how a long run goes; None where there is no terminal for it.
    """

    def __init__(self, approver: Approver | None, trace: Trace | None, printed: Printed, live: Live | None) -> None:
        self.approve = self._approve if approver else None
        self.write: Callable[[bytes], None] = live.write if live else printed.write
        self._approver = approver
        self._trace = trace
        self._printed = printed
        self._live = live

    def watch(self, record: Record) -> None:
        """Note a call that starts or ends."""
        if self._live:
            self._live.note(record)
        if self._trace:
            with self._aside():
                self._trace.note(record)

    def end(self, outcome: Outcome) -> Outcome:
        """Note what became of the run, and return it."""
        if self._trace:
            with self._aside():
                self._trace.tell_of_the_sandbox(outcome.usage)
        return outcome

    def _approve(self, approval: Approval) -> bool:
        assert self._approver
        with self._aside():
            return self._approver(approval)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        with self._live.aside() if self._live else nullcontext():
            self._printed.settle()
            yield


@contextmanager
def watching(*, trace: bool, approver: Approver | None = None) -> Iterator[Watching]:
    """Yield what watches one run, and clear it away afterwards.

    Args:
        trace: Whether each call is shown.
        approver: Asks about calls; by default one for this run, where somebody can be asked.
    """
    if approver is None and show.somebody_is_there():
        approver = Approver()
    traces, printed = Trace() if trace else None, Printed()
    with ExitStack() as stack:
        stack.callback(printed.settle)
        live = stack.enter_context(Live(sys.stderr, printed)) if show.draws_on(sys.stderr) else None
        yield Watching(approver, traces, printed, live)
    if traces:
        traces.sum_up()
