"""Checks structured results of an MCP server's tools against the output schemas that the server declares.

The MCP SDK's session checks the results of its own calls in the same way. This module checks those of
direct calls, which KosmoLua sends past the session.
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
        self._outputs: dict[str, Output] = {}

    def learn(self, tools: Iterable[Mapping[str, Any]]) -> None:
        """Use the output schemas of these tools from now on."""
        schemas = {tool["name"]: tool.get("outputSchema") for tool in tools}
        self._outputs = {name: Output(name, schema) for name, schema in schemas.items() if schema is not None}

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
        output = self._outputs.get(name)
        if output and not result.is_error:
            output.check(raw)
        return result


class Output:
    """The output schema of one tool.

    Args:
        tool: The name of the tool, for messages.
        schema: The JSON Schema.
    """

    def __init__(self, tool: str, schema: Any) -> None:
        self._tool = tool
        self._schema = schema
        self._validator: Any = None

    def check(self, raw: Mapping[str, Any]) -> None:
        """Check the structured content of a result, which is given as the server sent it.

        Raises:
            ValueError: There is none, it does not conform to the schema, or the schema is invalid.
        """
        if "structuredContent" not in raw:
            raise ValueError(f"the tool {self._tool} returned no structured content, although it has an output schema")
        try:
            self._validator = self._validator or self._compiled()
            self._validator.validate(raw["structuredContent"])
        except ValidationError as error:
            raise ValueError(f"the structured content of the tool {self._tool} is invalid: {error.message}") from None
        except (SchemaError, Unresolvable, ArithmeticError) as error:
            raise ValueError(f"the output schema of the tool {self._tool} is invalid: {error}") from None

    def _compiled(self) -> Any:
        kind = validator_for(self._schema)
        kind.check_schema(self._schema)
        return kind(self._schema, registry=Registry())
