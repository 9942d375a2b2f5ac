"""Checks structured results of direct calls against a server's output schemas, as the session does for its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema import SchemaError, ValidationError
from jsonschema.validators import validator_for
from mcp_types import CallToolResult
from referencing import Registry
from referencing.exceptions import Unresolvable


class Outputs:
    """The output schemas of one server."""

    def __init__(self) -> None:
        self._outputs: dict[str, Output] = {}

    def learn(self, tools: Iterable[Mapping[str, Any]]) -> None:
        schemas = {tool["name"]: tool.get("outputSchema") for tool in tools}
        self._outputs = {name: Output(name, schema) for name, schema in schemas.items() if schema is not None}

    def read(self, name: str, raw: Mapping[str, Any]) -> CallToolResult:
        """Check and return the result that a tool sent.

        Raises:
            ValueError: It does not have the form of the protocol, or does not conform to the tool's output schema.
        """
        result = CallToolResult.model_validate(raw, by_name=False)
        output = self._outputs.get(name)
        if output and not result.is_error:
            output.check(raw)
        return result


class Output:
    """The output schema of one tool, whose name is for messages."""

    def __init__(self, tool: str, schema: Any) -> None:
        self._tool = tool
        self._schema = schema
        self._validator: Any = None

    def check(self, raw: Mapping[str, Any]) -> None:
        """Check the structured content of a result as the server sent it.

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
