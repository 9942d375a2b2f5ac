"""Checks structured results of an MCP server's tools against the output schemas that the server declares.

The MCP SDK's session checks the results of its own calls in the same way; this module checks those of direct calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import SchemaError, ValidationError
from jsonschema.validators import validator_for
from mcp_types import CallToolResult
from referencing import Registry
from referencing.exceptions import Unresolvable


class Outputs:
    """Checks the results of the tools of one server."""

    def __init__(self) -> None:
        self._schemas: dict[str, Any] = {}
        self._validators: dict[str, Any] = {}

    def learn(self, tools: Iterable[Mapping[str, Any]]) -> None:
        """Use the output schemas of these tools from now on."""
        self._validators = {}
        self._schemas = {tool["name"]: tool["outputSchema"] for tool in tools if tool.get("outputSchema") is not None}

    def read(self, name: str, raw: Mapping[str, Any]) -> CallToolResult:
        """Return the result of a tool after checking it.

        Args:
            name: The name of the tool.
            raw: The result as the server sent it.

        Raises:
            ValueError: The result does not have the form of the protocol, or its structured content does not conform
                to the tool's output schema.
        """
        result = CallToolResult.model_validate(raw, by_name=False)
        if not result.is_error and name in self._schemas:
            self._check(name, result.structured_content, is_sent="structuredContent" in raw)
        return result

    def _check(self, name: str, content: object, *, is_sent: bool) -> None:
        if not is_sent:
            raise ValueError(f"the tool {name} returned no structured content, although it has an output schema")
        try:
            self._validator(name).validate(content)
        except ValidationError as error:
            raise ValueError(f"the structured content of the tool {name} is invalid: {error.message}") from None
        except (SchemaError, Unresolvable) as error:
            raise ValueError(f"the output schema of the tool {name} is invalid: {error}") from None

    def _validator(self, name: str) -> Any:
        if name not in self._validators:
            schema = self._schemas[name]
            kind = validator_for(schema)
            kind.check_schema(schema)
            self._validators[name] = kind(schema, registry=Registry())
        return self._validators[name]
