"""The catalogue: a card for each integration, and a page with who may do what, and which line decides it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import is_
from typing import NamedTuple, cast

from starlette.responses import Response

from kosmolua.accounts.permissions import Rule
from kosmolua.docs.outline import Outline, outline_of
from kosmolua.errors import KosmoError, PluginError, UnknownPath
from kosmolua.runtime import Runtime
from kosmolua.schema.effects import EFFECTS, Effect
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import page_of
from kosmolua.serve.pages.history import MAX_RUNS, RunEntry
from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.serve.pages.workspace import Workspace
from kosmolua.stores.store import RunFilter


@dataclass
class IntegrationCard:
    """What the catalogue shows of an integration; ``problem`` says why it cannot be used, and is else empty."""

    name: str
    about: str = ""
    effects: Mapping[str, int] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    runs: int = 0
    latest: RunEntry | None = None

    @property
    def page(self) -> str:
        """The name of its page in the documentation."""
        return page_of(self.name)


class NamedFunction(NamedTuple):
    """A function as rules see it."""

    name: str
    full_name: str
    effect: Effect


class Cell(NamedTuple):
    """What an account may do with some functions, the rule that says so, and the line of the file that has the rule."""

    rule: Rule
    place: str


@dataclass(frozen=True)
class MatrixRow:
    """Functions of one effect about which the same rules decide, with a cell for each account."""

    effect: str
    cells: tuple[Cell, ...]
    functions: list[str] = field(default_factory=list)


def listed(request: PageRequest) -> Response:
    """Return the page with a card for each integration of the tenant."""
    cards: dict[str, IntegrationCard] = {}

    def note(name: str, error: PluginError) -> None:
        cards[name] = IntegrationCard(name, problem=error.message)

    runtime = request.own.runtime
    for integration in runtime.catalog.loadable(note):
        cards[integration.name] = _card(runtime, integration)
    for run in request.own.history.find(RunFilter(), 0, MAX_RUNS)[0]:
        for name in {str(row[0]).rpartition(".")[0] for row in run.made}:
            if card := cards.get(name):
                card.runs += 1
                card.latest = card.latest or run
    return request.page("catalogue.html", "catalogue", cards=sorted(cards.values(), key=lambda card: card.name))


def shown(request: PageRequest) -> Response:
    """Return the page of an integration: what each account may do with each function, and what decides that."""
    runtime, name = request.own.runtime, request.request.path_params["name"]
    try:
        integration = runtime.catalog.listed(name)
        accounts = runtime.catalog.accounts(name)
    except (PluginError, UnknownPath):
        raise NotFound("There is no such integration.", "/catalogue") from None
    card = _card(runtime, integration)
    rows = _rows(request.own, integration, accounts) if not card.problem else []
    return request.page("matrix.html", "catalogue", card=card, accounts=accounts, rows=rows)


def _rows(own: Workspace, integration: Integration, accounts: list[str]) -> list[MatrixRow]:
    """Return the rows of an integration, which are kept until it, the accounts file or the accounts have changed."""
    about = (integration, integration.functions, own.runtime.accounts, tuple(accounts))
    known = own.matrices.get(integration.name)
    if known is None or not all(map(is_, known[0][:3], about)) or known[0][3] != about[3]:
        known = own.matrices[integration.name] = about, list(_matrix(own.runtime, integration, accounts))
    return known[1]


def _card(runtime: Runtime, integration: Integration) -> IntegrationCard:
    outline, name = outline_of(integration), integration.name
    effects = [sketch.effect for sketch in outline.functions.values()]
    counts: dict[str, int] = {effect: effects.count(effect) for effect in EFFECTS if effect in effects}
    card = IntegrationCard(name, outline.about, counts)
    try:
        names = runtime.catalog.accounts(name)
        card.accounts = {each: runtime.accounts.login_state(integration, each) or "" for each in names}
    except KosmoError as error:
        card.problem = error.message
    return card


def _matrix(runtime: Runtime, integration: Integration, accounts: list[str]) -> Iterator[MatrixRow]:
    """Yield the rows: functions of an effect about which the same rules decide are one row, the largest first."""
    rows: dict[tuple[object, ...], MatrixRow] = {}
    places: dict[tuple[str | None, str], str] = {}
    for function in _functions(outline_of(integration)):
        rules = [runtime.accounts.rules(integration, account).of_function(function) for account in accounts]
        key = (function.effect, *((rule.words, rule.key, rule.section) for rule in rules))
        if key not in rows:
            for rule in rules:
                if (rule.section, rule.key) not in places:
                    places[rule.section, rule.key] = os.path.basename(runtime.accounts.place_of(rule))
            cells = tuple(Cell(rule, places[rule.section, rule.key]) for rule in rules)
            rows[key] = MatrixRow(function.effect, cells)
        rows[key].functions.append(function.name)
    order = [*EFFECTS]
    yield from sorted(rows.values(), key=lambda row: (order.index(cast("Effect", row.effect)), -len(row.functions)))


def _functions(outline: Outline) -> Iterator[NamedFunction]:
    for name, sketch in outline.functions.items():
        yield NamedFunction(name, sketch.full_name, cast("Effect", sketch.effect))
