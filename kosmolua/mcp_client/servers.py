"""The provider of ``app.mcp``: an integration for each MCP server that the accounts file names.

Modules that only servers need are imported when the first server is used, so that scripts without servers start sooner.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING, Any

from kosmolua.catalog.plugins import Plugin
from kosmolua.clock import Until
from kosmolua.concurrency import lazy
from kosmolua.errors import ConfigError, NotConfigured, PluginError, UnknownPath
from kosmolua.folders import expanded
from kosmolua.http.messages import Attempt, Observe, Request, Response
from kosmolua.memory import passage
from kosmolua.schema.integration import Integration
from kosmolua.schema.names import SERVERS, objection_to_integration, qualified
from kosmolua.schema.settings import Table
from kosmolua.suggestions import did_you_mean, list_of

if TYPE_CHECKING:
    from kosmolua.accounts.accounts import Accounts
    from kosmolua.mcp_client.cards import Card, Cards
    from kosmolua.mcp_client.connections import Connections
    from kosmolua.mcp_client.questions import Confirm
    from kosmolua.mcp_client.settings import Server
    from kosmolua.secret import Secret

MAX_INSTRUCTIONS = 4000
"""The maximum length of a server's instructions, in characters. The rest is not shown."""
MAX_NAMED = 4
"""How many tools the sentence about a server names."""
START_TIMEOUT = 65.0
"""Seconds to wait for a server that has no card yet; a little longer than a start may take."""


class Servers:
    """The MCP servers of the accounts file. With a card, a server is started only when a script calls it.

    Args:
        accounts: The accounts file, with a section for each server.
        environ: The environment, of which servers inherit only a few variables.
        offline: Whether to refuse to start or connect a server without a card.
        cards: The cards; None means those in the user's cache.
        trace: Called with a server's name and line.
        changed: Called when what a server offers no longer matches its card.
        confirm: Returns the ``confirm`` for the current thread's call.
        timeout: Returns how many seconds a server that a call needs has to list its tools.
        warn: Gets a sentence, once, about tools that the accounts file takes for milder than their server does.
    """

    root = SERVERS

    def __init__(
        self,
        accounts: Accounts,
        environ: Mapping[str, str],
        *,
        offline: bool = False,
        cards: Cards | None = None,
        trace: Callable[[str, str], None] | None = None,
        changed: Callable[[], None] = lambda: None,
        confirm: Callable[[], Confirm | None] = lambda: None,
        timeout: Callable[[], float] = lambda: START_TIMEOUT,
        warn: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._accounts = accounts
        self._environ = environ
        self._offline = offline
        self._given_cards = cards
        self._trace = trace
        self._changed = changed
        self._confirm = confirm
        self._timeout = timeout
        self._warn = warn
        self._settings: dict[str, Server] = {}
        self._declared: dict[str, Integration] = {}
        self._loaded: dict[str, tuple[Card, Plugin]] = {}
        self._lock = RLock()

    def names(self) -> list[str]:
        return self._accounts.sections.servers()

    def load(self, name: str) -> Plugin:
        """Return a server as an integration, starting it only if it has no card.

        Raises:
            ConfigError: The section of the server lacks a key, or has an invalid key or value.
            NetworkError: The server cannot be started or reached, or does not answer.
            NotConfigured: The server requires a valid credential, or has no card and ``offline`` forbids starting it.
            UnknownPath: The accounts file has no server of this name.
        """
        if known := self._loaded.get(name):
            return known[1]
        if found := self._known(name):
            return found
        if self._offline:
            what = f"The functions of {SERVERS}.{name} are unknown, and servers are not started in a simulation"
            raise NotConfigured(what, hint=f"run 'kosmolua servers check {name}' once")
        self.refresh(name, self._timeout())
        return self._loaded[name][1]

    def listed(self, name: str) -> Plugin:
        """Return a server as its card describes it; raise PluginError if the server has no card."""
        if found := self._known(name):
            return found
        raise PluginError(
            "the server was never started, so its tools are unknown",
            origin=str(self._accounts.path),
            hint=f"run 'kosmolua servers check {name}'",
        )

    def refresh(self, name: str, seconds: float = START_TIMEOUT) -> Card:
        """Connect to a server, which has ``seconds`` to list its tools, and return its card; raises as :meth:`load`.

        Tools that have changed are accepted by that: nobody is asked about them any more.
        """
        card = self._connections.offer(qualified(SERVERS, name), self.settings(name), seconds)
        with self._lock:
            if self._loaded[name][0].get("former"):
                self._keep(name, card)
        return card

    def card(self, name: str) -> Card | None:
        """Return a card; None if there never was a connection with these settings."""
        self._known(name)
        return self._loaded[name][0] if name in self._loaded else None

    def prose(self, name: str) -> str | None:
        """Return the instructions that a server sent as a quotation, since nobody has checked them, or None."""
        card = self.card(name)
        text = str(card.get("instructions") or "").strip()[:MAX_INSTRUCTIONS] if card else ""
        lines = (f"> {line}".rstrip() for line in text.splitlines())
        return "\n".join(["The server says of itself:", "", *lines]) if text else None

    def sources(self, name: str) -> list[str]:
        return []

    def settings(self, name: str) -> Server:
        """Return the settings with the values of secrets, which are looked up once; a login counts at once.

        Raises:
            ConfigError: The section of the server lacks a key, or has an invalid key or value.
            UnknownPath: The accounts file has no server of this name.
        """
        if (known := self._settings.get(name)) and known.command:
            return known
        from kosmolua.mcp_client.settings import Server

        with self._lock:
            declared = self._declared.get(name)
            if declared is None:
                declared = self._declared[name] = self.declared(name)
            server = Server(**self._accounts.settings(declared, "default"))
            self._settings[name] = replace(server, env={**self._variables(declared, server), **server.env})
            return self._settings[name]

    def _variables(self, declared: Integration, server: Server) -> dict[str, Secret]:
        """Return the variables of a server's ``env_file``, masked like those of its section."""
        from kosmolua.mcp_client.settings import variables_in

        found = variables_in(self._accounts.path.parent / expanded(server.env_file)) if server.env_file else ()
        return {key: self._accounts.named_secret(declared, "default", f"env.{key}", given) for key, given in found}

    def declared(self, name: str) -> Integration:
        """Return a server without functions, for reading and checking its settings."""
        self.section(name)
        return _integration(name, "", None)

    def section(self, name: str) -> Table:
        """Check a server's section, and return it as written, without looking up secrets.

        Raises:
            ConfigError: The section has an invalid name, lacks a key, or has an invalid key or value.
            UnknownPath: The accounts file has no server of this name.
        """
        if name not in self.names():
            hint = did_you_mean(name, self.names()) or list_of("it has", self.names())
            raise UnknownPath(f"app.{SERVERS} has no '{name[:80]}'", hint=hint or "add one with 'kosmolua servers add'")
        if objection := objection_to_integration(name):
            raise ConfigError(f"{self._accounts.path}: a server cannot be called {name!r}", hint=objection)
        table = self._accounts.sections.settings(_integration(name, "", None), "default")
        if ("command" in table) == ("url" in table):
            problem = "has both a command and a url" if "url" in table else "needs a command or a url"
            raise ConfigError(f"{self._accounts.path}: [{SERVERS}.{name}] {problem}")
        return table

    def close(self) -> None:
        """Close all connections, and stop the servers that were started."""
        if connections := vars(self).get("_connections"):
            connections.close()

    def start_anew(self) -> None:
        """Forget connections and locks, which belong to the parent of this forked process."""
        self._lock = RLock()
        if connections := vars(self).get("_connections"):
            connections.start_anew()

    @lazy
    def _cards(self) -> Cards:
        from kosmolua.mcp_client.cards import Cards

        return self._given_cards or Cards()

    @lazy
    def _connections(self) -> Connections:
        from kosmolua.mcp_client.connections import Connections
        from kosmolua.mcp_client.link import Surroundings

        folder = self._accounts.path.parent
        started_in = folder if folder.is_absolute() and folder.is_dir() else Path.home()
        return Connections(Surroundings(started_in, self._environ, self._trace, self._learn, self._card_of))

    def _card_of(self, full_name: str) -> Card | None:
        return self.card(full_name.partition(".")[2])

    def _known(self, name: str) -> Plugin | None:
        from kosmolua.mcp_client.settings import identity

        with self._lock:
            if name not in self._loaded and (card := self._cards.read(name, identity(self.section(name)))):
                self._loaded[name] = card, self._plugin(name, card)
                if self._tell_of_lowered(name, card):
                    self._cards.write(name, identity(self.section(name)), card)
            return self._loaded[name][1] if name in self._loaded else None

    def _learn(self, full_name: str, card: Card) -> None:
        """Replace a card if what the server offers has changed; the new one has the former tools."""
        from kosmolua.mcp_client.tools import former_tools

        name = full_name.partition(".")[2]
        card = json.loads(json.dumps(card))
        with self._lock:
            known = self._loaded.get(name)
            if known and {key: known[0].get(key) for key in card} == card:
                return
            if known:
                card["former"] = former_tools(known[0], card)
            self._keep(name, card)
        self._changed()

    def _keep(self, name: str, card: Card) -> None:
        from kosmolua.mcp_client.settings import identity

        if known := self._loaded.get(name):
            card["lowered"] = known[0].get("lowered", [])
        self._loaded[name] = card, self._plugin(name, card)
        self._tell_of_lowered(name, card)
        self._cards.write(name, identity(self.section(name)), card)

    def _tell_of_lowered(self, name: str, card: Card) -> bool:
        """Warn of tools that the section takes for milder than the server does; return False if nothing was to tell."""
        from kosmolua.mcp_client.tools import is_lowered

        stated, told = self.section(name).get("tools", {}), card.get("lowered", [])
        card["lowered"] = [tool["name"] for tool in card["tools"] if is_lowered(tool, stated)]
        if fresh := [tool for tool in card["lowered"] if tool not in told]:
            where = f"{self._accounts.path}: [{SERVERS}.{name}.tools]"
            self._warn(f"{where} takes {', '.join(fresh)} for milder than the server does")
        return bool(card["lowered"] != told)

    def _plugin(self, name: str, card: Card) -> Plugin:
        from kosmolua.mcp_client.settings import reached
        from kosmolua.mcp_client.tools import functions_of, lua_name

        info = card.get("server") or {}
        title = str(info.get("title") or info.get("name") or name)
        tools = [lua_name(tool["name"]) for tool in card["tools"]]
        more = f" and {len(tools) - MAX_NAMED} more" if len(tools) > MAX_NAMED else ""
        shown = f"{', '.join(tools[:MAX_NAMED])}{more} of " if tools else ""
        integration = _integration(name, f"{shown}{title}, an MCP server.", lambda account: self._sender(name))
        integration.is_current = lambda: "_connections" in vars(self) and self._connections.is_open(integration.name)
        stated = self.section(name).get("tools", {})
        for function in functions_of(integration.name, card, stated):
            integration.functions.own[function.name] = function
        known = {each for tool in card["tools"] for each in (tool["name"], lua_name(tool["name"]))}
        if unknown := [each for each in stated if each not in known]:
            what = f"{self._accounts.path}: [{SERVERS}.{name}.tools] names {unknown[0]}, which is no tool of the server"
            if name not in self._loaded:
                raise ConfigError(what, hint=did_you_mean(unknown[0], known))
            self._warn(f"{what} any more")
        return Plugin(integration, reached(self.section(name)), "server", lambda: self.prose(name))

    def _sender(self, name: str) -> Callable[..., Response]:
        full_name = qualified(SERVERS, name)

        from kosmolua.mcp_client.tools import ToolRequest, ToolResponse

        def carry(request: Request, *, until: Until | None, observe: Observe) -> Response:
            assert isinstance(request, ToolRequest)
            started, memory, server = monotonic(), passage.get(), self.settings(name)
            deadline = until or (lambda: started + START_TIMEOUT)
            ends = deadline()
            given = ends - started
            is_sent = False

            def sent() -> None:
                nonlocal is_sent
                is_sent = True

            def progressed() -> None:
                nonlocal ends
                later = min(monotonic() + given, started + server.timeout)
                if memory and later > ends:
                    memory.extend(later - ends)
                    ends = later

            try:
                answer = self._connections.request(
                    full_name,
                    server,
                    request,
                    until=deadline,
                    confirm=self._confirm(),
                    sent=sent,
                    progressed=progressed,
                )
            except BaseException as error:
                if is_sent:
                    observe(Attempt(1, monotonic() - started, fault=type(error).__name__))
                raise
            observe(Attempt(1, monotonic() - started, status=200))
            return ToolResponse(200, request=request, value=answer)

        return carry


def _integration(name: str, about: str, carrier: Any) -> Integration:
    from kosmolua.mcp_client.settings import Server

    integration = Integration(name, Server, about=about, prefix="", root=SERVERS)
    integration.carrier = carrier
    return integration
