"""The vocabulary of the search: which words of a query matter, and their synonyms in the documentation."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_QUERY = 300
"""The most characters of a query that are read."""
MAX_WORDS = 8
"""The most words of a query that are searched for."""

_COMMON = """
a about after again ago all also am an and any anybody anyone anything are as at be because been before being but by
can cannot could currently did do does doing don done ever everyone everything exist exists for from gets getting give
go goes going gone got had has have having he her here hers him his how i if in inside into is isn it its just lately
let lets like ll look many may me might month much must my myself need needs no not nothing now of on one only or our
ours out overnight own please really recently right running s see she should show so some somehow something somewhere
such t tell than that the their them then there these they thing things this those to today tomorrow tonight too try
trying up us use used using ve very via want wants was way we week weekend went were what when where which while who
why will with within without won would yesterday yet you your
"""
COMMON_WORDS = frozenset(_COMMON.split()) - {"who"}
"""Words of a query that the search ignores if the query has other words."""

_MEANINGS = """
cancel: abort kill stop terminate interrupt halt
create: add make new launch allocate reserve provision register attach connect host install setup introduce
message: sms text
retrieve: get list read fetch show view see details info information lookup look check
fetch: get list read show view see details info information lookup look check retrieve
patch: update change edit modify set append
create: send post submit generate buy purchase
create issue: open file report raise submit
add: attach create insert append mount include upload set put define
story: comment comments
note: comment comments
reblog: boost boosts boosted retweet
participant: attendee attendees attended attend
member: subscriber subscribers
collaboration: share shared sharing collaborator collaborators
put: upload write save store commit overwrite
create comment: leave post write
write: save store put
directory: folder
page: wiki
list issue: open
delete: remove destroy erase drop unset detach disconnect purge wipe trash discard clear teardown uninstall nuke kill
delete: decommission retire scrap unhook rid clean cleanup ditch obsolete
remove: delete destroy erase drop detach unset unhook unlink disconnect
unlink: detach remove disconnect unhook
link: attach connect share use give assign
get: read fetch show view see inspect describe details detail info information display retrieve lookup look check list
get: status state finished progress succeed succeeded outcome print about health
list: get show view see enumerate browse dump read fetch history all every overview count inventory
search repos: find
search: look locate query lookup filter
list: find
list: locate
read: get fetch show view list
set: change edit modify update put assign configure adjust alter write save store insert add rotate define upload
update: change edit modify set configure customize adjust alter patch rename resize upgrade downgrade switch bump move
update: enable disable toggle
update: bigger larger smaller longer shorter grow extend enlarge shrink reduce raise lower increase decrease expand
change: edit modify update adjust alter rename
replace: overwrite reset swap upload import whole entire
start: begin launch trigger run boot kick fire
stop: halt pause suspend disable end
suspend: stop halt pause disable freeze shutdown sleep hibernate deactivate offline kill mothball park
resume: wake unpause unsuspend reactivate enable restore continue unfreeze online start unpark boot
restart: reboot bounce reload recycle relaunch kick cycle stuck hang hangs hung frozen unresponsive restarted
rollback: undo revert restore downgrade back broke broken bad regression
deploy: again redo repeat retry
deploy trigger: ship publish redeploy rollout push release live rebuild
deploy: deployment deployments deployed release build version rollout commit fail failed failing failure red
trigger: start begin launch run fire kick ship publish redeploy rollout push rebuild
run: execute invoke perform launch start trigger exec fire
rerun: retry again repeat redo restart
scale: grow shrink increase decrease capacity autoscaling resize autoscale more fewer replicas traffic load horizontally
scale: double triple halve half
set autoscaling: autoscale automatic automatically elastic adaptive enable
delete autoscaling: stop disable suspend off
instance: replica replicas server servers node nodes machine machines dyno dynos copy copies pod pods instances
validate: check verify lint mistakes valid correct
verify: check validate confirm recheck test propagate propagated
job: task oneoff migration script batch
create job: command shell migrate rake console exec bash sql
cron: schedule scheduled nightly hourly daily weekly monthly periodic timer recurring crontab
service: app apps application applications website webserver site sites backend frontend worker program microservice
service: container box boxes server machine api process daemon web
get service: status health
scale: dyno dynos replica replicas instance instances servers machines nodes pods copies
update: autodeploy
env var: config configuration secret secrets dotenv environment variable envvar flag
environment: env config configuration
variable: var config secret
env: environment
var: variable
env group: shared common
secret file: certificate pem credentials keyfile dotenv
domain: hostname hostnames dns cname subdomain ssl tls certificate cert https host url address www
get service: url address plan
log: output tail stdout stderr console print message messages trace stacktrace grep
log: error errors exception exceptions timeout timeouts warning warnings request requests
event: history activity timeline audit trail happened incident outage crash crashed downtime caused cause reason oom
event: died dead killed
metric: cpu memory ram usage utilization utilisation bandwidth latency throughput load graph chart statistics stats
metric: average mean percentile response monitor monitoring performance traffic slow requests consumption p95 p99
disk: storage volume space ssd mount persistent persistence gb drive
snapshot: backup backups restore copy point
disk: snapshot
postgres: database databases db dbs sql postgresql mysql pg psql
recovery: restore backup pitr point
export: dump backup
credential: password connection string dsn login user
connection: connect dsn url string password credential
key value: redis valkey cache caches kv memcached keyvalue eviction queue broker
user: who whose whoami me myself email profile identity login authenticated
owner: workspace team teams organization organisation org member members group company
workspace: team organization organisation org owner company
member: people teammate colleague user who
project: folder group
issue: bug bugs ticket tickets problem defect todo
pull: pr prs merge pullrequest review
merge: land accept squash
comment: reply respond answer discuss note feedback remark say discussion thread
review: approve approval feedback
close: resolve finish done shut
workflow: action actions ci pipeline build check checks test tests green red
run: workflow ci build
repository: repo project codebase
repo: repository repositories project codebase projects
get repo: star stars fork forks license language default
search repos: popular trending topic best
file: source content contents readme code document blob text
content: file readme source code
branch: main master trunk
label: tag tags mark category categorize categorise
route: redirect redirection forward rewrite rule
commit: revision revisions changes changelog history diff author wrote
release: version versions changelog tag tags published changes
newest: latest last recent current new
organisation: organization org company
error: fail failed failure fails exception wrong raise catch handle
fail: error failure exception wrong crash red broken failing
key: credential credentials password secret authenticate authentication login auth apikey
token: credential credentials password secret authenticate authentication login auth apikey
parallel: concurrent simultaneously concurrently async threads batch
overview: script begin introduction rules basics tutorial intro
sandbox: limit limits timeout memory filesystem files network internet require import modules allowed parallel
sandbox: concurrent simultaneously concurrently killed minutes seconds string strings substring
errors: catch exception handle pcall retry failed fails raise unauthorized forbidden conflict invalid typo ignore rate
accounts: token credential credentials apikey login secret password passwords keychain vault
accounts: allow allowed permit permitted deny forbid block prevent protect restrict rights
accounts: quota cap spending budget proxy
examples: sample samples snippet recipe page pages paging paginate pagination loop
page: paging pagination paginate pages
integration: plugin connector
plugins: integration connector own custom internal company wrap wrapper sdk
wait: sleep poll until delay
account: apikey credential credentials login token multiple
limit: timeout long killed maximum quota
memory: ram
plan: tier size price bigger smaller cost instance
plan first: dry rehearse
sandbox time: sleep
sandbox: csv base64 regex hash uuid library libraries
approval: ask confirm confirmation permission consent approve approved
fleets: many inputs batch bulk customers tenants several reuse reusable saved save library parameters arguments
recordings: undo replay history rehearse preview crash crashed interrupted reproduce offline continue resume
recordings: dry changed revert
schedules: morning evening night midnight nightly daily hourly weekly monthly clock periodically regularly
schedules: unattended webhook webhooks
serving: team teams website dashboard deploy docker kubernetes browser sso oidc nginx tls https production host
servers: gateway tool tools remote stdio
openapi: swagger spec specification schema
cli: terminal option options flag flags
schedules: cron schedule scheduled
mcp: agent agents llm model desktop editor assistant chat claude cursor vscode codex client confirm
telemetry: trace traces tracing spans metrics observability monitoring otel jaeger
repl: interactive interactively prompt shell console explore
python: notebook jupyter embed embedded program library pytest
flow: injection injected malicious leak exfiltrate untrusted prompt attack attacker
journal: audit written history who when past called calls
approvals: approve approver approved confirm
client set up: claude cursor codex
openapi toml: overlay
"""
_IN_SERVICES = """
refund: reimburse reimbursement repay
dispute: chargeback chargebacks contested
invoice: bill bills billing
customer: client clients buyer buyers shopper
payout: withdraw withdrawal bank
charge: payment payments paid purchase
payment intent: charge pay
coupon: discount discounts voucher
promotion code: discount promo voucher
price: cost rate tariff
subscription: recurring membership
product: item items goods
transfer: send move
tax: vat
payment link: checkout
image: picture pictures photo photos drawing illustration
avatar: picture photo image
speech: voice speak spoken aloud narrate audio
audio: sound voice recording
transcription: transcript transcribe dictate subtitles
translation: translate
moderation: harmful unsafe offensive abusive toxic
embedding: vector vectors
completion: answer reply generate
message: note post chat dm
message: direct
conversation: channel channels room rooms chat dm
channel: room rooms
member: participant participants attendee person somebody someone
user: person people somebody someone employee
invite: invitation bring
kick: expel throw remove
delete member: kick expel
pull request file: diff changed
ban: block forbid expel
mute: silence quiet snooze
downtime: mute silence maintenance
star: favourite favorite like
reaction: emoji emojis thumbs react
emoji: smiley emoticon
presence: online away
profile: status bio nickname title
topic: subject
role: permission permissions rank
guild: server servers
call: phone ring dial telephone
phone number: telephone mobile
send: mail
monitor: alert alerts alarm alarms
dashboard: board
incident: outage
slo: objective
series: points point datapoint
host: machine machines server servers
prune: unused dangling
kill: force forcibly
exec: command run execute
volume: storage disk
top: processes
inspect: details
prefix: subnet subnets cidr range
device: hardware switch router equipment
rack: cabinet
site: datacenter location
cable: wire
available: free unused next
transaction: tx transfer
address: wallet
asset: token coin nft
pool: stake staking delegators
fork: clone copy
gist: snippet paste
artifact: output
milestone: deadline
assignee: assign
assignees: assign
collaborator: contributor contributors
reviewer: review
webhook: hook hooks callback
compare: diff difference between
lock: freeze
permission: access rights
file: document attachment upload
page: document documents
data source: database table
block children: paragraph content contents
bulk: many several batch
bulk delete: many several
usage: spend spent consumption cost
usergroup: group groups
reminder: remind
vulnerability: security
alert: vulnerabilities vulnerability
contributor: contributed
submit: send post push
branch: git
command: entrypoint dockerfile
health: status healthy alive
complete: end finish
suppression: unsubscribe unsubscribed
global: everything everywhere
top: favourite favorite
track: song songs
listing: sale sell offer
patch node: cordon uncordon
"""
"""Words of common web APIs: payments, chat, telephony, source code, containers, networks, monitoring, models."""
_CHANGING = """
add cancel close create delete link merge remove replace rerun restart resume rollback scale set suspend trigger unlink
update
"""
READING = frozenset({"find", "get", "grep", "list", "log", "read", "search", "tail"})
CHANGES = frozenset(_CHANGING.split())
"""Verbs with which the names of functions that change something begin. A synonym of one counts like the verb."""
_REPLACED = """
config: setting, settings
env var: environment variable, environment variables, env variable, env variables, variable, variables
whoami: who am i, logged in
apikey: api key, api keys, api token, api tokens, access token
happened: go wrong, went wrong, goes wrong
progress: going on
login: log in, sign in
restart: off and on
rollback: roll * back, go back, went back, take * back, back out
previous rollback: last good
list service: what is running, what do we have, what do i have
logout: log * out, log out, sign * out, sign out
suspend: turn * off, switch * off, shut * down, spin * down, bring * down, take * down, take * offline
enable resume: turn * back on, turn * on, switch * on
resume: bring * back, bring * up, start * up, back up, back online, wake * up, fire * up
resume wake unpause: bring * back up
delete: get rid of, throw * away, clean * up, tear * down, blow * away
remove: take * out, take * off, take * away
setup: set * up
create: spin * up, stand * up
service: web service, web services, private service, private services, web app, web apps
metric requests: http requests, requests per second, requests per minute
plan first: before they are made, before it is made, before it happens, before they happen, would change, would write
approval: approve a write, approve a plan, approve a run, approve the plan, approve the run
review: who approved
get repo: default branch
whoami: my email
remove label: unlabel
close: mark * as done, mark * as fixed, mark * as resolved, mark * done
add label: tag * as, label * as, mark * as
secret file: file as secret, file as a secret
cron schedules: every day, every morning, every night, every hour, every week, once a day, at night
same fleets: same script
scale: scale * up, scale * down, scale * out
trigger: kick * off
get: look * up
search: look for
oneoff: one off
: at once, number of
auto deploy autodeploy: auto deploy
keyvalue: key value
pullrequest: pull request, pull requests, merge request
oom event: ran out of memory, run out of memory, out of memory
disk: disk space
connection info: connection string, connection url, connection details, redis url, database url, db url, postgres url
env var secret: secret value
env var config: config value
owner workspace: who owns
log: stack trace, stack traces
attach: hook * up
refund: money back
payout: pay out, cash out, paid out
member: who is in, who belongs to, who is on
speech: text to speech, read * out loud, read * aloud, out loud
reset: back to default, back to defaults, to factory settings
kick: throw * out, kick * out
transcription: speech to text, speech into text, audio to text, audio into text
emoji reaction: thumbs up
file: configuration file, config file
message: on call, on-call
parallel: same time
idempotency: idempotent
"""
PHRASES = {
    phrase: words
    for words, _, phrases in (line.partition(": ") for line in _REPLACED.strip("\n").splitlines())
    for phrase in phrases.split(", ")
}
"""Phrases in queries, each with the words that replace it. A star stands for up to three words, which are kept."""
_NAMES = [
    (
        re.compile(r"(?<![\w/])[\w./~-]*\w\.(?:txt|md|ya?ml|json|csv|toml|ini|log|pdf|html?)\b", re.I),
        " file path ",
    ),
    (re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|(?<!\w)\.env\b"), " env var "),
    (re.compile(r"(?<=\w )/[\w*-][\w/*.-]*(?= )"), " path "),
    (re.compile(r"\b(?:[a-z0-9-]+\.)+(?:com|io|net|org|dev|co|app|example)\b", re.I), " domain "),
]
"""Patterns of names that users give to things, such as domains, each with the word for such a thing."""
_MACHINES = "instances? replicas? servers? nodes? machines? dynos? pods? copies workers? boxes".replace(" ", "|")
_MANY = r"(?:\d+|one|two|three|four|five|six|ten|more|fewer|less|another|extra|additional|double)"
_SOMEBODY = r"(?:the|an?|my|our|your|all|every|each|everybody|everyone)"
_SHAPES = [
    (re.compile(rf"^\W*(?:text|tell|notify|inform|message)\s+{_SOMEBODY}\b", re.I), "send message"),
    (re.compile(rf"\b{_MANY}\s+(?:more\s+|extra\s+|(?:the\s+)?number\s+of\s+)?(?:{_MACHINES})\b", re.I), "scale"),
    (
        re.compile(
            r"^\W*(?:re)?(?:deploy|release|build)\s"
            r"(?!(?:status|history|log|logs|list|details?|ids?|events?|hooks?|notes?)\b)",
            re.I,
        ),
        "trigger",
    ),
    (re.compile(r"\b(?:this|my|our)\s+(?:key|token)\b", re.I), "whoami"),
    (re.compile(r"^\W*(?:comment|reply)\s+(?:on|to)\b", re.I), "create"),
    (re.compile(r"\b(?:version|release|build|commit)\b.*\b(?:running|live|deployed|in production)\b", re.I), "deploy"),
    (re.compile(r"\bsrv-\w*"), "service"),
    (re.compile(r"\bdep-\w*"), "deploy"),
    (
        re.compile(r"\b(?:is|are)\b[\w\s-]*\b(?:up|down|alive|running|healthy|online|ok|okay|live)\W*$", re.I),
        "get status",
    ),
]
"""Patterns of text in queries, such as ids, each with words that are then added to the query."""

_WORD = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SINGLE = frozenset({"one", "single"})
_NUMBERED = frozenset({"list", "get"})
_PLURAL = re.compile(r"[^siu]s$")
MIN_PLURAL = 3
"""A word is taken as a plural only if it has more letters than this."""
MIN_UNDONE = 4
"""A word that begins with ``un`` can undo something only if it has more letters than this."""
_ASKING = re.compile(
    r"\W*(?:is|are|was|were|am|did|does|has|have|had|what|whats|which|who|whos|whose|why|when|where"
    r"|how\s+(?:many|much|long|often|big|old|far|full|is|are|was|did|does))\b",
    re.IGNORECASE,
)


_ORDER = re.compile(r"\W*(\w+)\s+(?:an?|the|my|our|this|all|every|each)\b", re.IGNORECASE)


def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"\b{phrase.replace(' * ', GAP)}\b" if " * " in phrase else rf"\b{phrase}\b")


GAP = r" ((?:\w+ ){0,3}?)"
_PHRASES = [(_pattern(phrase), PHRASES[phrase]) for phrase in sorted(PHRASES, key=len, reverse=True)]


def words_in(text: str) -> list[str]:
    """Return the words of a text in lower case. A name such as ``listServices`` is split into its words."""
    pieces = (piece for word in _WORD.findall(text) for piece in (_HUMP.split(word) if word[0].islower() else [word]))
    return [piece.lower() for piece in pieces]


def singular(word: str) -> str:
    """Return an English noun without its plural ending, to compare words: ``status`` gives ``statu``."""
    return f"{word[:-3]}y" if word.endswith("ies") else word.rstrip("s")


@lru_cache(4096)
def stem(word: str) -> str:
    """Return an English word without its ending, to compare words: ``cancelling`` gives ``cancel``."""
    if word.endswith("ies") and len(word) > 4:
        word = f"{word[:-3]}y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ment", "ing", "ed"):
        if word.endswith(ending) and _SYLLABLE.search(word.removesuffix(ending)):
            word = word.removesuffix(ending)
            break
    word = word.removesuffix("e") if len(word) > 3 else word
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


_SYLLABLE = re.compile(r"[aeiouy].*[^aeiou]$")


def words_of(query: str) -> list[str]:
    """Return the words to search for, each once: phrases become words, common words go if there are others."""
    query = query[:MAX_QUERY]
    for pattern, kind in _NAMES:
        query = pattern.sub(kind, query)
    text = " ".join([*words_in(query), *(words for shape, words in _SHAPES if shape.search(query))])
    for pattern, replacement in _PHRASES:
        text = pattern.sub(rf"{replacement} \1" if pattern.groups else replacement, text)
    words = list(dict.fromkeys(text.split()))
    told = [word for word in words if word not in COMMON_WORDS]
    return (told or words)[:MAX_WORDS]


def implied_verbs(query: str) -> frozenset[str]:
    """Return what a query that orders no change asks for: to ``list`` things, to ``get`` one, or both if unclear."""
    words = words_in(query[:MAX_QUERY])
    if _NUMBERED.intersection(words):
        return frozenset()
    if _SINGLE.intersection(words) or "".join(words[-1:]).isdecimal():
        return frozenset({"get"})
    is_plural = any(len(word) > MIN_PLURAL and _PLURAL.search(word) for word in words)
    return frozenset({"list"}) if is_plural else _NUMBERED


def is_order(query: str, verb: str) -> bool:
    """Return True if a query begins like an order, such as ``star a repository`` with the verb ``star``."""
    found = _ORDER.match(query)
    return found is not None and found[1].lower() == verb


def undone(word: str) -> str:
    """Return what a word undoes: ``tag`` for ``untag``; empty if it does not begin like such a word."""
    return word[2:] if word.startswith("un") and len(word) > MIN_UNDONE else ""


def only_asks(query: str) -> bool:
    """Return True if a query is a question, such as ``which services are there``, and so requests no change."""
    return bool(_ASKING.match(query))


MEANINGS = [
    (words, said)
    for words, _, said in (line.partition(": ") for line in (_MEANINGS + _IN_SERVICES).splitlines() if line)
]
"""Words of the documentation, each with its synonyms."""
