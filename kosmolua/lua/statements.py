"""Finds scripts that only define functions."""

from __future__ import annotations

from kosmolua.lua.findings import Findings
from kosmolua.lua.syntax import Node


def check_use(findings: Findings, root: Node) -> None:
    """If a script only defines functions and calls none of them, add a finding at the last function.

    Args:
        findings: The collection to which the finding is added.
        root: The node of the whole script.
    """
    statements = [each for each in root.children if each.kind != "hash_bang_line"]
    functions = [each for each in statements if each.kind == "function_declaration"]
    if not functions or any(_acts(each) for each in statements):
        return
    name = functions[-1].get("name")
    called = name.text if name else "it"
    findings.warn(functions[-1], "nothing is called here, so the script does nothing", f"{called}()")


def _acts(statement: Node) -> bool:
    """Return True if a statement does more than define a function or a variable."""
    if statement.kind == "function_declaration":
        return False
    if statement.kind != "variable_declaration":
        return True
    return any(node.kind == "function_call" for node in statement.walk())
