"""Functions for the environment variables of a service. A change takes effect with the next deploy."""

from typing import Annotated, TypedDict, cast

from kosmolua.plugin import BadArguments, Secret

from . import inverses
from .account import integration
from .bodies import value_of, variables_of
from .misfits import variable_misfit
from .paging import All, Cursor, Limit, listed
from .parameters import ServiceId, VariableKey
from .render import Render, deletion
from .settings import VariableValue
from .wire import Thing, page_of, thing_of

_VARIABLES = "/services/{service_id}/env-vars"
_VARIABLE = "/services/{service_id}/env-vars/{key}"


class Variable(TypedDict):
    """An environment variable."""

    key: str
    value: str | Secret


class VariablePage(TypedDict):
    env_vars: list[Variable]
    cursor: str | None


class OneVariable(TypedDict):
    env_var: Variable


class DeletedVariable(TypedDict):
    key: str
    deleted: bool


AsSecret = Annotated[
    bool, "Whether the value is returned as a secret, which a script can pass to functions and cannot read."
]


VariableText = Annotated[str | int | float | bool | None, "The value; Render stores it as a string."]
Generate = Annotated[bool, "Whether Render generates the value; if true, leave out value."]


def new_value(function: str, value: object, *, generate: bool) -> Thing:
    """Return the body that sets a variable, or raise BadArguments unless either a value or ``generate`` is given."""
    if (value is None) != generate:
        raise BadArguments(f"{function} needs either value or generate = true", param="value", hint="give one of them")
    return value_of({"generate": True} if value is None else value)


def variable_of(thing: Thing, *, secret: bool = False) -> Variable:
    """Return an environment variable, with its value as a secret if that is wanted."""
    return cast(Variable, {**thing, "value": Secret(str(thing["value"]))} if secret else thing)


@integration.reads
def list_env_vars(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    limit: Limit = 20,
    cursor: Cursor = None,
    all: All = False,
    secret: AsSecret = False,
) -> VariablePage:
    """List the environment variables of a service with their values, which may be secret: do not print them."""
    found, after = listed(
        _VARIABLES, "envVar", render=render, limit=limit, cursor=cursor, all=all, service_id=service_id
    )
    return {"env_vars": [variable_of(variable, secret=secret) for variable in found], "cursor": after}


@integration.reads
def get_env_var(render: Render, /, *, service_id: ServiceId, key: VariableKey, secret: AsSecret = False) -> OneVariable:
    """Get one environment variable of a service."""
    found = thing_of(render.api.get(_VARIABLE, service_id=service_id, key=key))
    return {"env_var": variable_of(found, secret=secret)}


@integration.writes(before=inverses.VARIABLE, undo=inverses.VARIABLE_BACK)
def set_env_var(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    key: VariableKey,
    value: VariableText = None,
    generate: Generate = False,
) -> OneVariable:
    """Set one environment variable of a service, new or existing; the others stay as they are."""
    body = new_value("set_env_var", value, generate=generate)
    return {"env_var": cast(Variable, thing_of(render.api.put(_VARIABLE, json=body, service_id=service_id, key=key)))}


@integration.destroys(was_done=deletion(_VARIABLE, "key"), before=inverses.VARIABLE, undo=inverses.VARIABLE_BACK)
def delete_env_var(render: Render, /, *, service_id: ServiceId, key: VariableKey) -> DeletedVariable:
    """Delete one environment variable of a service."""
    render.api.delete(_VARIABLE, service_id=service_id, key=key)
    return {"key": key, "deleted": True}


@integration.destroys(before=inverses.VARIABLES, undo=inverses.VARIABLES_BACK)
def replace_all_env_vars(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    env_vars: Annotated[
        dict[str, VariableValue],
        "All variables that the service will have; { generate = true } lets Render generate a value.",
    ],
) -> VariablePage:
    """Replace the whole environment of a service: every variable that is not given is deleted.

    To change some variables and keep the rest, call ``set_env_var`` for each.
    """
    if wrong := variable_misfit(env_vars):
        raise BadArguments(wrong.message, param=wrong.param, hint=wrong.hint)
    reply = render.api.put(_VARIABLES, json=variables_of(env_vars), service_id=service_id)
    return {"env_vars": [cast(Variable, variable) for variable in page_of(reply, "envVar")[0]], "cursor": None}
