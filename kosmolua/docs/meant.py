"""Suggests existing functions for a function name that does not exist, by spelling and by the meaning of words.

A function that changes something is suggested only if its verb has the same meaning as the verb of the wrong name: for
``update_env_var``, ``delete_env_var`` is not suggested.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from kosmolua.docs.outline import Sketch, outline_of
from kosmolua.docs.search import Index, Search, entries_for
from kosmolua.docs.vocabulary import CHANGES, MEANINGS, singular, words_in
from kosmolua.errors import DocNotFound
from kosmolua.schema.effects import is_final
from kosmolua.schema.integration import Integration
from kosmolua.suggestions import MAX_WORD, closest

MAX_CANDIDATES = 20
MAX_MEANT = 3
MIN_LIKENESS = 0.75
"""How similar two words must be for one to count as a misspelling of the other."""
MIN_LIKENESS_OF_CHANGES = 0.9
"""How similar the name of a function from an OpenAPI document must be if the function changes something."""
_VERBS = {"trigger": {"create", "new", "make", "deploy"}, "list": {"count"}}
"""Synonyms for the verbs of functions, in addition to the vocabulary of the search."""
_MAKING = {"create", "add"}


class Guess:
    """Compares a wrong name with the names of existing functions.

    The first word of a name is its verb, the others are its objects. Words match if they have the same meaning, or if
    one is a misspelling of the other.
    """

    def __init__(self, name: str, meanings: Mapping[str, set[str]]) -> None:
        self.words = words_in(name[:MAX_WORD])
        self._meanings = meanings

    def fits(self, name: str, effect: str) -> bool:
        """Return True if an existing function may be suggested in place of the wrong name.

        The names must share an object; if the function writes, the verbs must match too. If it destroys, all objects of
        the wrong name must match, and one of them the last word of the function's name: what is destroyed.
        """
        verb, *objects = words_in(name)
        asked, *wanted = self.words or [""]
        matches = [self._is_object(word, objects or [verb]) for word in wanted]
        if not wanted:
            return self._is_verb(asked, verb) or (not is_final(effect) and self._is_object(asked, objects))
        if effect == "read":
            return any(matches) and (self.reads or self._is_verb(asked, verb))
        if is_final(effect) and not (all(matches) and any(self._is_object(word, objects[-1:]) for word in wanted)):
            return False
        return (any(matches) and self._is_verb(asked, verb)) or self._is_made_by(name)

    def is_about(self, name: str) -> bool:
        """Return True if every object of the wrong name matches an object of an existing name."""
        verb, *objects = words_in(name)
        return all(self._is_object(word, objects or [verb]) for word in self.words[1:])

    def has_verb_of(self, name: str) -> bool:
        """Return True if the verb of the wrong name matches the verb of an existing name."""
        return bool(self.words) and (self._is_verb(self.words[0], words_in(name)[0]) or self._is_made_by(name))

    @property
    def reads(self) -> bool:
        """Whether the verb of the wrong name changes nothing."""
        return not self.words or not any(self._is_verb(self.words[0], verb) for verb in CHANGES)

    def _is_made_by(self, name: str) -> bool:
        """Return True if the verb of the wrong name is what a function makes, as in ``comment_on_issue``."""
        verb, *objects = words_in(name)
        return verb in _MAKING and len(self.words) > 1 and objects == [self.words[0]]

    def _is_verb(self, said: str, verb: str) -> bool:
        return said == verb or said in self._meanings.get(verb, ()) or _is_misspelt(said, verb)

    def _is_object(self, said: str, words: list[str]) -> bool:
        asked = {said, singular(said)}
        for word in map(singular, words):
            if word in asked or asked & self._meanings.get(word, set()):
                return True
            if any(word in self._meanings.get(each, ()) or _is_misspelt(each, word) for each in asked):
                return True
        return False


def _is_misspelt(said: str, word: str) -> bool:
    """Return True if one word may be a misspelling of the other; ``restart`` is none of ``start``."""
    differs = said.endswith(word) or word.endswith(said)
    return not differs and SequenceMatcher(None, said, word).ratio() >= MIN_LIKENESS


def functions_meant(integration: Integration, name: str) -> list[str]:
    """Return the short names of at most three functions that a wrong name may mean, the likeliest first."""
    search, meanings, functions = _search_of(integration)
    own = {short: sketch for short, sketch in functions.items() if not sketch.section}
    for prefix in {sketch.full_name.removesuffix(short) for short, sketch in own.items()}:
        name = name.removeprefix(prefix) or name
    guess = Guess(name, meanings)
    spelled = closest(name, own)
    found = search.find(" ".join(guess.words), MAX_CANDIDATES) if search and guess.words else []
    likely = [*spelled[:1], *(hit.page for hit in found), *spelled[1:]]
    fitting = [each for each in dict.fromkeys(likely) if _is_safe(guess, each, own)]
    meant = sorted(fitting, key=lambda each: (not guess.is_about(each), not guess.has_verb_of(each)))
    rest = {short: sketch for short, sketch in functions.items() if sketch.section}
    if not meant:
        return _meant_of_document(name, guess.words, rest)
    holding = [] if any(guess.has_verb_of(each) for each in meant) else _holding(guess.words, rest)
    return [*holding, *meant][:MAX_MEANT]


def _meant_of_document(name: str, words: Sequence[str], functions: Mapping[str, Sketch]) -> list[str]:
    """Return at most three functions of an OpenAPI document that have every word of the wrong name, misspelt or not.

    Synonyms are not considered: the service chose the names, so that the verb can be anywhere in a name.
    """
    if not words:
        return []
    near = [each for each in closest(name, functions) if _may_be_meant(name, each, functions[each])]
    return list(dict.fromkeys([*near, *_holding(words, functions)]))[:MAX_MEANT]


def _holding(words: Sequence[str], functions: Mapping[str, Sketch]) -> list[str]:
    """Return the functions whose names have all words, in any order, the shortest first."""
    wanted = {*map(singular, words)}
    return sorted((each for each in functions if wanted <= {*map(singular, words_in(each))}), key=len)


def _may_be_meant(name: str, other: str, sketch: Sketch) -> bool:
    likeness = MIN_LIKENESS if sketch.effect == "read" else MIN_LIKENESS_OF_CHANGES
    return SequenceMatcher(None, name, other).ratio() >= likeness


def _is_safe(guess: Guess, name: str, functions: Mapping[str, Sketch]) -> bool:
    return name in functions and guess.fits(name, functions[name].effect)


@lru_cache(maxsize=16)
def _search_of(integration: Integration) -> tuple[Search | None, Mapping[str, set[str]], Mapping[str, Sketch]]:
    """Return a search, None without FTS5, the synonyms of each word, and the functions."""
    outline = outline_of(integration)
    said = [(words, said) for said, words in integration.words.items()]
    meanings: defaultdict[str, set[str]] = defaultdict(set)
    for words, others in [*MEANINGS, *((" ".join(words_in(word)), other) for word, other in said)]:
        named = words.split()
        for word in named if len(named) == 1 or named[0] not in CHANGES else ():
            meanings[word].update(others.split())
            meanings[singular(word)].update(others.split())
    for word, others_said in _VERBS.items():
        meanings[word].update(others_said)
    try:
        search = Search([Index.of(entries_for(outline))], [*MEANINGS, *said])
    except DocNotFound:
        search = None
    return search, meanings, outline.functions
