"""The evaluation of a whole script, with all its findings, and what follows from it for the run."""

from __future__ import annotations

from functools import cached_property

from kosmolua.check.evaluator import CheckRules, Evaluator
from kosmolua.check.globals import CheckInput
from kosmolua.lua.dependence import Dependence, leads_to_known_functions
from kosmolua.lua.flows import ArgumentFlow, flows_of
from kosmolua.lua.held import NOTHING_HELD
from kosmolua.lua.scopes import Scopes
from kosmolua.lua.site import Site
from kosmolua.lua.sites import sites_of
from kosmolua.lua.syntax import assigned
from kosmolua.lua.values import UNKNOWN, Branch, Callee, Value

_NO_RULES = CheckRules({}, {}, ())


class Settled:
    """The evaluation of a script by these rules, and what only the whole script tells.

    If the script has variables that get several values, what they hold is found out before, without the rules.
    """

    def __init__(self, given: CheckInput, rules: CheckRules) -> None:
        scopes, held = Scopes(given.root, follows_others=given.is_chunk_of_session), NOTHING_HELD
        if places := scopes.several_values():
            held = Evaluator(given, _NO_RULES, scopes, places=places).held()
        self._input = given
        self.evaluated = Evaluator(given, rules, scopes, held)
        for rule in rules.whole:
            rule(self.evaluated)
        self.evaluated.gathered.settle()
        if scopes.may_share_globals:
            return
        if self._may_write:
            self.evaluated.findings.harden()
            self._refuse_mistakes()
        self.evaluated.findings.soften(list(scopes.dead_parts()))

    @property
    def _may_write(self) -> bool:
        return any(charge.effect != "read" for charge in self.evaluated.fields.bill)

    def _refuse_mistakes(self) -> None:
        """Turn each mistake on which a change depends into an error."""
        findings = self.evaluated.findings
        for mistake in findings.mistakes.values():
            changes = self._dependence
            if changes.writes_between(*mistake.within) if mistake.within else changes.decides(mistake.node):
                findings.refuse(mistake)

    @cached_property
    def _dependence(self) -> Dependence:
        return Dependence(self.evaluated.scopes, self.evaluated.known)

    @cached_property
    def is_read_only(self) -> bool:
        """True if the script certainly changes nothing: each function that it uses from ``app`` only reads."""
        return not self._may_write and leads_to_known_functions(self.evaluated.scopes, self.evaluated.known)

    def flows(self) -> list[ArgumentFlow]:
        """Return what the arguments of the script's writes are made from."""
        return [] if self.is_read_only else flows_of(self.evaluated.scopes, self.evaluated.known)

    def sites(self) -> list[Site]:
        """Return the places where the script calls functions of integrations.

        There are none for a chunk of a session that may call functions of earlier chunks, which have lines of those.
        """
        scopes, known = self.evaluated.scopes, self.evaluated.known
        called = [name for _, name, _ in scopes.calls if name and name.kind == "identifier"]
        if self._input.is_chunk_of_session and any(known(name) in (None, UNKNOWN) for name in called):
            return []
        return sites_of(scopes, known, lambda: self._dependence)

    def session(self) -> dict[str, Value]:
        """Return what is known about globals after this chunk of a session, for the check of the next chunk."""
        found = self.evaluated.globals.earlier | dict.fromkeys(self.evaluated.scopes.defined, UNKNOWN)
        for statement in self._input.root.children:
            if statement.kind in ("variable_declaration", "assignment_statement"):
                for target, node in assigned(statement):
                    value = self.evaluated.value(node)
                    found[target.text] = value if isinstance(value, (Branch, Callee)) else UNKNOWN
        return found
