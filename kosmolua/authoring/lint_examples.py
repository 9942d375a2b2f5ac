"""The lint of examples: the Lua in a plugin's page and docstrings compiles, and what it calls exists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kosmolua.authoring.findings import Finding
from kosmolua.lua.syntax import uses_in
from kosmolua.schema.integration import Integration
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.runtime import Runtime

_FENCED = re.compile(r"^```lua[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_MESSAGE = re.compile(r"example:(\d+): (.*)", re.DOTALL)
_COMPILE = """
local messages = {}
for index, source in ipairs(arg) do
  local chunk, message = load(source, "=example")
  messages[index] = chunk and "" or message
end
return messages
"""


@dataclass(frozen=True)
class Example:
    """A piece of Lua.

    Args:
        file: The file that holds it.
        first: The number of its first line there.
        text: The Lua.
    """

    file: str
    first: int
    text: str

    def place_of(self, line: int) -> str:
        """Return the file, and the line that is one of the example's own, counted from 1; its last for its end."""
        last = len(self.text.splitlines())
        return f"{self.file}:{self.first + min(line, last) - 1}"


def examples_in(text: str, file: str, first: int = 1) -> Iterator[Example]:
    """Yield the fenced Lua of a Markdown text that begins on a line of a file."""
    for block in _FENCED.finditer(text):
        yield Example(file, first + text.count("\n", 0, block.start(1)), block[1])


def check_syntax(examples: Sequence[Example], runtime: Runtime) -> Iterator[Finding]:
    """Yield the examples that do not compile; the sandbox compiles them, and runs none."""
    outcome = runtime.run(_COMPILE, args=[example.text for example in examples])
    if outcome.error:
        raise outcome.error
    for example, message in zip(examples, outcome.result[0], strict=True):
        said = _MESSAGE.match(message)
        if message:
            line, problem = (int(said[1]), said[2]) if said else (1, message)
            yield Finding(example.place_of(line), f"the example is not Lua: {problem}", "correct it")


def check_calls(example: Example, integration: Integration) -> Iterator[Finding]:
    """Yield an example's calls of functions that do not exist, and arguments that the function does not take."""
    for use in uses_in(example.text, integration.name):
        place = example.place_of(use.line)
        function = integration.function(use.function)
        if function is None:
            hint = did_you_mean(use.function, integration.functions) or f"it has {', '.join(integration.functions)}"
            yield Finding(place, f"{integration.name} has no function {use.function}", hint)
            continue
        names = [parameter.name for parameter in function.parameters]
        for key in use.keys:
            if key not in names:
                hint = did_you_mean(key, names) or f"it takes {', '.join(names) or 'nothing'}"
                yield Finding(place, f"{function.name} has no parameter {key}", hint)
