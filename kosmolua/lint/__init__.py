"""Lint: what could be better about a plugin that loads. Nothing of it is called, and no Lua leaves the sandbox."""

from kosmolua.lint.check import check
from kosmolua.lint.finding import Finding

__all__ = ["Finding", "check"]
