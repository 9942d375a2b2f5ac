"""Vocabulary: the words of a question, and the words that the documentation has for them."""

from __future__ import annotations

import re

MAX_QUERY = 300
"""Characters of a query that are read."""
MAX_WORDS = 8
"""Words of a query that are searched for."""

_COMMON = """
a about all am an and any are as at be been but by can could did do does for from had has have how i if in into is
it its just many may me much my need of on one or our please s should so some t than that the their them then there
these they this those to up us use was we were what when where which why will with would you your
"""
COMMON_WORDS = frozenset(_COMMON.split())
"""Words left out of a query that has other words."""

_MEANINGS = """
cancel: abort kill stop terminate interrupt
create: add make new open build launch provision register attach connect host install setup spin publish file report
delete: remove destroy erase drop unset detach disconnect purge wipe trash discard clear teardown uninstall
remove: delete destroy erase drop detach unset
get: read fetch show view see inspect describe details detail info information display retrieve lookup check list
get: status state finished done ready progress succeed succeeded outcome
list: get show view see enumerate browse dump read fetch history search find
search: find look locate query lookup filter
list: locate
read: get fetch show view list
set: change edit modify update put assign configure adjust alter write save store insert add
update: change edit modify set configure customize adjust alter patch rename resize upgrade downgrade switch
change: edit modify update adjust alter rename
replace: overwrite reset swap
start: begin launch trigger run boot kick fire
stop: halt pause suspend disable end
suspend: stop halt pause disable freeze shutdown sleep hibernate deactivate offline
resume: wake unpause unsuspend reactivate enable restore continue unfreeze online start
restart: reboot bounce reload recycle relaunch
rollback: undo revert previous earlier older restore downgrade
again: redo repeat retry
deploy trigger: ship publish redeploy rollout push
deploy: deployment deployed release build version
trigger: start begin launch run fire kick
run: execute invoke perform launch start trigger
scale: grow shrink increase decrease capacity autoscaling resize autoscale more fewer replicas
instance: replica replicas server servers node nodes machine machines dyno dynos
verify: check validate confirm recheck test
job: task command shell oneoff migration
cron: schedule scheduled nightly hourly daily weekly periodic timer recurring
service: app apps application website webserver site backend worker program microservice container
env var: config configuration setting settings secret dotenv environment variable
environment: env config configuration setting
variable: var config setting
env: environment
var: variable
domain: hostname dns cname subdomain ssl tls certificate host
log: output tail stdout stderr console print message
event: history activity timeline audit happened incident outage crash crashed
postgres: database databases db sql postgresql mysql
key value: redis valkey cache kv memcached keyvalue
user: who whose whoami me myself email profile identity login authenticated
owner: workspace team organization organisation org member group
workspace: team organization organisation org owner
issue: bug ticket problem defect pr
pull: pr merge
repository: repo project codebase
repo: repository project codebase
commit: revision changes changelog history code
release: version changelog tag
newest: latest last recent current new
organisation: organization org
issue: pull
error: fail failed failure exception wrong crash raise
fail: error failure exception wrong crash
key token: credential password secret authenticate authentication login auth
parallel: concurrent simultaneously concurrently async
same time: parallel concurrent simultaneously concurrently async
page: paging pagination paginate
integration: plugin
plugin: integration
wait: sleep poll until
account: apikey credential credentials login
"""
PHRASES = {
    "who am i": "whoami",
    "api key": "apikey",
    "api keys": "apikey",
    "access token": "apikey",
    "went wrong": "happened",
    "goes wrong": "happened",
    "logged in": "whoami",
    "roll back": "rollback",
    "go back": "rollback",
    "went back": "rollback",
    "turn off": "suspend",
    "switch off": "suspend",
    "shut down": "suspend",
    "take down": "suspend",
    "take offline": "suspend",
    "turn on": "resume",
    "switch on": "resume",
    "turn back on": "resume",
    "bring back": "resume",
    "back up": "resume",
    "back online": "resume",
    "wake up": "resume",
    "get rid of": "delete",
    "throw away": "delete",
    "tear down": "delete",
    "take out": "remove",
    "set up": "setup",
    "spin up": "create",
    "one off": "oneoff",
    "key value": "keyvalue",
    "pull request": "pr",
    "pull requests": "pr",
}
"""What several words mean together."""

_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PHRASE = re.compile(rf"\b(?:{'|'.join(sorted(PHRASES, key=len, reverse=True))})\b")


def words_in(text: str) -> list[str]:
    """Return the words of a text in lower case, split as in ``list`` and ``services`` for ``listServices``."""
    pieces = (piece for word in _WORD.findall(text) for piece in (_HUMP.split(word) if word[0].islower() else [word]))
    return [piece.lower() for piece in pieces]


def singular(word: str) -> str:
    """Return a word in the form for one."""
    return f"{word[:-3]}y" if word.endswith("ies") else word.rstrip("s")


def content_words(sentence: str) -> list[str]:
    """Return the words of a sentence in the form for one, without the common ones."""
    return [singular(word) for word in words_in(sentence) if word not in COMMON_WORDS]


def phrases_in(query: str) -> list[str]:
    """Return the phrases of a query that have a meaning of their own, as in ``pull requests``."""
    return list(dict.fromkeys(_PHRASE.findall(" ".join(words_in(query[:MAX_QUERY])))))


def words_of(query: str) -> list[str]:
    """Return the words to search for: different ones, without common words unless there are no others."""
    text = _PHRASE.sub(lambda found: PHRASES[found[0]], " ".join(words_in(query[:MAX_QUERY])))
    words = list(dict.fromkeys(text.split()))
    return ([word for word in words if word not in COMMON_WORDS] or words)[:MAX_WORDS]


MEANINGS = [(words, said) for words, _, said in (line.partition(": ") for line in _MEANINGS.strip().splitlines())]
"""Words of the documentation, each with what people say for them."""
