"""The check of scripts that change something: a mistake on which a change depends is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kosmolua import Runtime
from kosmolua.check.checker import Checker, Report

RENDER = "local r = app.integrations.render2\nlocal list = r.list_services({ limit = 5 }).services\n"
GITHUB = """local gh = app.integrations.github
local issues = gh.list_issues({ repo = "acme/rocket", limit = 5 }).issues
"""
PULLS = 'local gh = app.integrations.github\nlocal ps = gh.list_pull_requests({ repo = "a/b" }).pull_requests\n'
SUSPEND = "r.suspend_service({ service_id = s.id })"
COMMENT = 'gh.create_comment({ repo = "acme/rocket", number = i.number, body = BODY })'
SHARED = next(
    (parent / "shared/mistakes2" for parent in Path(__file__).parents if (parent / "shared").exists()), Path()
)


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    """The check over the installed integrations."""
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        yield Checker(runtime.catalog)


def in_loop(text: str) -> str:
    """Return a script that goes through services."""
    return f"{RENDER}for _, s in ipairs(list) do {text} end"


def with_issue(text: str, body: str = "x") -> str:
    """Return a script that goes through issues, and comments on them."""
    return f"{GITHUB}for _, i in ipairs(issues) do {text.replace('COMMENT', COMMENT).replace('BODY', body)} end"


MISTAKES = {
    "value of an enum": (in_loop(f'if s.status ~= "live" then {SUSPEND} end'), "never 'live'"),
    "by brackets": (in_loop(f'if s["status"] ~= "live" then {SUSPEND} end'), "never 'live'"),
    "in elseif": (in_loop(f'if s.name == "" then elseif s.status == "live" then else {SUSPEND} end'), "never 'live'"),
    "with and": (in_loop(f'local _ = s.status ~= "live" and {SUSPEND}'), "never 'live'"),
    "through a local": (in_loop(f'local up = s.status == "live" if not up then {SUSPEND} end'), "never 'live'"),
    "through a list": (
        in_loop('if s.status ~= "live" then list[#list + 1] = s end') + f"\nfor _, s in ipairs(list) do {SUSPEND} end",
        "never 'live'",
    ),
    "through table.insert": (
        in_loop('down = down or {} if s.status ~= "live" then table.insert(down, s) end').replace(
            "for", "local down for", 1
        )
        + f"\nfor _, s in ipairs(down) do {SUSPEND} end",
        "never 'live'",
    ),
    "through a helper": (
        'local function is_up(s) return s.status == "live" end ' + in_loop(f"if not is_up(s) then {SUSPEND} end"),
        "never 'live'",
    ),
    "in a helper that writes": (
        "local function stop(s) app.integrations.render2.suspend_service({ service_id = s.id }) end "
        + in_loop("if s.status ~= 'live' then stop(s) end"),
        "never 'live'",
    ),
    "goto continue": (in_loop(f'if s.status == "live" then goto next end {SUSPEND} ::next::'), "never 'live'"),
    "return in parallel.map": (
        f'{RENDER}parallel.map(list, function(s) if s.status == "live" then return end {SUSPEND} end)',
        "never 'live'",
    ),
    "a flag": (
        "local bad = false " + in_loop("if s.status ~= 'live' then bad = true end") + " if bad then "
        'r.suspend_service({ service_id = "srv-cabc12345678" }) end',
        "never 'live'",
    ),
    "pcall of a write": (
        in_loop('if s.status ~= "live" then pcall(r.suspend_service, { service_id = s.id }) end'),
        "live",
    ),
    "a name of nothing": (in_loop(f"if s.type ~= web_service then {SUSPEND} end"), "nothing defines 'web_service'"),
    "a name of nothing before": (in_loop(f"if keep ~= s.name then {SUSPEND} end"), "nothing defines 'keep'"),
    "find and -1": (in_loop(f'if s.name:find("api") ~= -1 then {SUSPEND} end'), "find returns nil"),
    "find and 0": (in_loop(f'if string.find(s.name, "api") ~= 0 then {SUSPEND} end'), "find returns nil"),
    "milliseconds of a duration": (
        in_loop(f"if time.now() - time.parse(s.updatedAt) < 30 * 24 * 3600 * 1000 then {SUSPEND} end"),
        "times are in seconds",
    ),
    "another type": (in_loop(f"if s.suspended == true then {SUSPEND} end"), "never equals a boolean"),
    "text as a condition": (in_loop(f"if not s.url then {SUSPEND} end"), "any text is true"),
    "text like a boolean": (in_loop(f"if s.suspended then {SUSPEND} end"), "any text is true"),
    "yes or no": (in_loop(f"if s.autoDeploy then {SUSPEND} end"), "any text is true"),
    "length as a condition": (in_loop(f"if #list then {SUSPEND} end"), "0 is true"),
    "page as a condition": (
        'local r = app.integrations.render2 if r.list_services({ name = "x" }).services then print("there") else '
        'r.suspend_service({ service_id = "srv-cabc12345678" }) end',
        "never nil",
    ),
    "list in a local as a condition": (
        'local r = app.integrations.render2 local found = r.list_services({ name = "x" }).services '
        'if not found then r.suspend_service({ service_id = "srv-cabc12345678" }) end',
        "never nil",
    ),
    "nil of a list": (in_loop(f"if list == nil then {SUSPEND} end"), "never nil"),
    "empty table": (in_loop(f"if list == {{}} then {SUSPEND} end"), "new table"),
    "table and text": (in_loop(f'if list ~= "" then {SUSPEND} end'), "never equals a text"),
    "length and text": (in_loop(f'if #list ~= "0" then {SUSPEND} end'), "never equals a text"),
    "json.null": (in_loop(f"if s.branch ~= json.null then {SUSPEND} end"), "(s.branch ~= nil)"),
    "nil of a text": (in_loop(f"if s.url ~= nil then {SUSPEND} end"), "never nil"),
    "not before ==": (in_loop(f'if not s.name == "a" then {SUSPEND} end'), "not is applied before =="),
    "optional and false": (
        f"{PULLS}for _, p in ipairs(ps) do if p.mergeable ~= false then "
        'gh.merge_pull_request({ repo = "a/b", number = p.number }) end end',
        "nil ~= false is true",
    ),
    "date without zeros": (with_issue('if i.updated_at < "2026-2-1" then COMMENT end', '"x"'), "does not sort"),
    "date of words": (with_issue('if "last week" < i.updated_at then COMMENT end', '"x"'), "does not sort"),
    "tostring of a missing field": (with_issue("COMMENT", "tostring(i.assignee)"), "no field 'assignee'"),
    "missing field in a local": (
        with_issue("local who = tostring(i.user) COMMENT", '"for " .. who'),
        "no field 'user'",
    ),
    "format of a table": (with_issue("COMMENT", '("%s"):format(i.labels)'), "is a table"),
    "tostring of a list": (with_issue("COMMENT", "tostring(i.assignees)"), "is a table"),
    "join of what may be nil": (
        in_loop('r.set_env_var({ service_id = s.id, key = "A", value = "b/" .. s.branch })'),
        "may be nil",
    ),
    "format of what may be nil": (
        in_loop('r.set_env_var({ service_id = s.id, key = "A", value = string.format("%s", s.branch) })'),
        "may be nil",
    ),
    "key of an own table": (
        'local c = {} app.integrations.render2.set_env_var({ service_id = "srv-cabc12345678", key = "A", '
        "value = tostring(c.url) })",
        "there is no 'url'",
    ),
    "index for a number": (
        f"{GITHUB}for i, issue in ipairs(issues) do gh.close_issue({{ repo = 'a/b', number = i }}) end",
        "its own number",
    ),
    "index in parallel.map": (
        f"{GITHUB}parallel.map(issues, function(issue, i) gh.close_issue({{ repo = 'a/b', number = i }}) end)",
        "its own number",
    ),
    "list as a map": (
        in_loop(f'if r.list_env_vars({{ service_id = s.id }}).env_vars["DEBUG"] ~= "1" then {SUSPEND} end'),
        "no 'DEBUG' of a list",
    ),
    "dash at the end of a name": (in_loop(f'if s.name:find("^test-") then {SUSPEND} end'), "- repeats the letter"),
    "through a global function": (
        "function stop(s) app.integrations.render2.suspend_service(s.id) end\n"
        + in_loop('if s.suspended == "no" then stop(s) end'),
        "never 'no'",
    ),
    "dash in a name": (in_loop(f'if s.name:find("checkout-api") then {SUSPEND} end'), "- repeats the letter"),
    "regular expression": (in_loop(f'if s.name:match("web|api") then {SUSPEND} end'), "no alternatives"),
    "removal in ipairs": (
        in_loop('if s.name:find("api") then table.remove(list, 1) end')
        + f"\nfor _, s in ipairs(list) do {SUSPEND} end",
        "skips the one after",
    ),
    "holes": (
        f'{RENDER}local bad = parallel.map(list, function(s) if s.status == "suspended" then return s end end) '
        f"for _, s in ipairs(bad) do {SUSPEND} end",
        "returns nothing for some items",
    ),
    "last page": (
        "local r = app.integrations.render2 local page = r.list_services({ limit = 100 }) while page.cursor do "
        f"for _, s in ipairs(page.services) do {SUSPEND} end "
        "page = r.list_services({ limit = 100, cursor = page.cursor }) end",
        "the last page has no cursor",
    ),
    "pcall with a wrong argument": (
        'local r = app.integrations.render2 pcall(r.suspend_service, { id = "srv-cabc12345678" })',
        "no parameter 'id'",
    ),
    "pcall says that nothing is there": (
        'local r = app.integrations.render2 local there = pcall(r.list_services, { name = "x" }) '
        'if not there then r.suspend_service({ service_id = "srv-cabc12345678" }) end',
        "only whether the call failed",
    ),
    "result of pcall": (
        'local r = app.integrations.render2 local ok, d = pcall(r.trigger_deploy, { service_id = "srv-cabc12345678" }) '
        'print("deploy " .. d.id)',
        "no field 'id'",
    ),
    "braces in a format": (with_issue("COMMENT", '("see {}"):format(i.url)'), "not braces"),
}
"""Scripts that change something, each with a part of what the check says."""


def messages(report: Report) -> str:
    """Return what the errors of a report say."""
    return "; ".join(error.advice for error in report.errors)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_on_which_a_change_depends_is_refused(checker: Checker, name: str) -> None:
    """The change would be made for the wrong items, or with a wrong text, or never."""
    source, told = MISTAKES[name]
    assert told in messages(checker.check(source))


READING = {
    "value of an enum": (in_loop('if s.status ~= "live" then print(s.name) end'), "never 'live'"),
    "length as a condition": (RENDER + "if #list then print(1) end", "0 is true"),
    "text as a condition": (in_loop('if not s.url then print("no url") end'), "any text is true"),
    "nil of a text": (in_loop('if s.url == nil then print("no url") end'), "never nil"),
    "json.null": (in_loop("if s.branch == json.null then print(1) end"), "never json.null"),
    "list as a map": (in_loop('print(r.list_env_vars({ service_id = s.id }).env_vars["A"])'), "no 'A' of a list"),
    "dash in a name": ('print(("https://x.com/a-b"):gsub("a-b", "c"))', "- repeats the letter"),
    "pcall with a wrong argument": (RENDER + 'print(pcall(r.get_service, { id = "srv-1" }))', "no parameter 'id'"),
    "change of a copy": (
        'local s = app.integrations.render2.list_services({}).services[1] s.name = "x" print(s.name)',
        "only the script's copy",
    ),
    "name beside another": (
        "local total = 0 for i = 1, 2 do totl = total + i end print(total)",
        "did you mean 'total'",
    ),
    "a mistake without a change": (in_loop(f'if s.status == "live" then print(1) end {SUSPEND}'), "never 'live'"),
    "length of a secret": (
        'print(#app.integrations.render2.get_postgres_connection_info("dpg-cabc12345678").connection_info.password)',
        "is a secret",
    ),
    "text and number": (
        'local d = app.integrations.render2.list_deploys({ service_id = "srv-cabc12345678", limit = 1 }).deploys[1] '
        "print(d.createdAt > os.time() - 60)",
        "time.parse(d.createdAt)",
    ),
    "sort of tables": (RENDER + "table.sort(list) print(list[1].name)", "cannot compare tables"),
    "sort assigned": (
        RENDER + "list = table.sort(list, function(a, b) return a.name < b.name end)",
        "it sorts the list",
    ),
    "dead branch": (in_loop(f'if false then if s.status ~= "live" then {SUSPEND} end end'), "never 'live'"),
    "function that nothing calls": (
        f'local function f(s) if s.list_x == "live" then {SUSPEND} end end {RENDER} '
        f'local function g() for _, s in ipairs(list) do if s.status ~= "live" then {SUSPEND} end end end',
        "never 'live'",
    ),
}
"""Scripts in which no change depends on the mistake, each with a part of what the check says."""


@pytest.mark.parametrize("name", READING)
def test_a_mistake_on_which_no_change_depends_is_warned_of(checker: Checker, name: str) -> None:
    """Reading is harmless, and so is code that never runs."""
    source, told = READING[name]
    report = checker.check(source)
    assert told in "; ".join(finding.advice for finding in report.findings)
    assert report.errors == []


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the mistakes are not in this checkout")
def test_known_harm_is_not_done() -> None:
    """What models wrote, and what changed the wrong things, is refused before anything is sent."""
    wrote = set()
    for file in SHARED.glob("harmful-*.lua"):
        with Runtime(os.devnull, simulate=True, yes=True, environ={}) as runtime:
            outcome = runtime.run(file.read_bytes(), check=True, timeout=5)
        if any(call["effect"] != "read" for call in outcome.calls):
            wrote.add(file.stem)
    assert wrote <= {"harmful-w4_page_not_all"}  # only the run knows that there are more pages


@pytest.mark.skipif(not SHARED.is_dir(), reason="the mistakes are not in this checkout")
def test_no_known_mistake_is_silent(checker: Checker) -> None:
    """Each script whose result was wrong without a word is answered before it runs."""
    files = sorted(SHARED.glob("silent-*.lua"))
    assert [file.stem for file in files if not checker.check(file.read_bytes()).findings] == []


def test_what_never_runs_is_only_warned_of(checker: Checker) -> None:
    """A mistake in a block that is certainly dead refuses nothing, however certain it is elsewhere."""
    call = "app.integrations.render2.suspend_service({ service_id = Nil })"
    assert checker.check(call).errors
    report = checker.check(f"local debug_it = false if debug_it then {call} end print(1)")
    assert report.errors == []
    assert report.findings


CALLS = {
    "value in a table that is not all written": (
        'app.integrations.render2.add_route({ service_id = "srv-cabc12345678", type = "redirect", source = "/a", '
        'destination = "/b" }) app.integrations.render2.replace_all_routes({ service_id = "srv-cabc12345678", '
        'routes = { { type = "moved", source = arg[1], destination = "/b" } } })',
        "routes[1].type must be one of",
    ),
    "scale": (
        'app.integrations.render2.update_service({ service_id = "srv-cabc12345678", num_instances = 2 })',
        "scale_service does that",
    ),
    "alternatives in the text of logs": (
        'print(#app.integrations.render2.list_logs({ resource_id = "srv-cabc12345678", text = "a|b" }).logs)',
        "/refused|timeout/",
    ),
    "null for what is required": (
        "app.integrations.render2.suspend_service({ service_id = json.null })",
        "json.null leaves it out",
    ),
    "accounts first": ("print(app.accounts.staging.render2.list_services({}))", "app.integrations.NAME.ACCOUNT"),
    "method of a number": ("print(time.now():format())", "time.format(seconds)"),
    "library of bits": ("print(bit32.band(5, 3))", "between integers"),
    "counter of Python": ('local c = Counter({ "a" })', "n[key] or 0"),
    "tool by name": ('print(call_tool("render2.list_services", {}))', "app.integrations.NAME.FUNCTION"),
    "library called": ("parallel(function() end)", "is a library"),
    "json called": ('print(json("{}"))', "json.decode"),
    "account called": ('app.integrations.render2("staging").list_services({})', "app.integrations.render2.staging"),
    "account before the integration": (
        "app.integrations.staging.render2.list_services({})",
        "app.integrations.NAME.staging",
    ),
    "another function sets it": (
        'app.integrations.render2.update_service({ service_id = "srv-cabc12345678", env_vars = { A = "b" } })',
        "set_env_var does that",
    ),
    "percent of a text": ('print("%s" % "a")', "format(value)"),
    "percent with brackets": ('print("%s is %s" % ("a", "b"))', "format(a, b)"),
    "optional chaining": ("local s = {} print(s?.name)", "a and a.b"),
    "try": ("try\n  print(1)\ncatch (e)\n  print(e)\nend", "pcall"),
}
"""Calls that fail in every run, each with a part of what the check says."""


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_always_fails_is_refused_with_what_to_write(checker: Checker, name: str) -> None:
    """The hint has the function, the path or Lua's own form."""
    source, told = CALLS[name]
    assert told in messages(checker.check(source))


def test_a_misspelt_key_in_a_table_is_warned_of(checker: Checker) -> None:
    """Where a function from a document declares the keys; the service might know more."""
    source = """app.integrations.render2.create_webhook({
        owner_id = "tea-cabc12345678", url = "https://x.test", name = "n", enabled = true, event_filter = {},
        extra = { headrs = { a = "b" } },
    })"""
    report = checker.check(source)
    assert "did you mean 'headers'?" in "; ".join(finding.advice for finding in report.findings)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ('render2.update_webhook({ webhook_id = "whk-0123456789abcdefghij", url = "ADDRESS" })', "url"),
        ('github.repos_create_webhook({ owner = "a", repo = "b", config = { url = "ADDRESS" } })', "config.url"),
    ],
)
def test_a_domain_where_a_url_belongs_is_warned_of(checker: Checker, call: str, name: str) -> None:
    """Also where a document only names the parameter so; the service might take it, so that it is no error."""

    def said(address: str) -> str:
        report = checker.check(f"app.integrations.{call.replace('ADDRESS', address)}")
        assert not report.errors
        return "; ".join(finding.advice for finding in report.findings)

    assert f"{name} is a URL, and 'example.com/hook' has no scheme" in said("example.com/hook")
    assert '"https://example.com:8443/hook"' in said("example.com:8443/hook")
    assert "scheme" not in said("https://example.com/hook") + said("") + said("/hook")


def test_a_table_that_its_document_does_not_allow_is_warned_of(checker: Checker) -> None:
    """The service might know more than its document."""
    call = (
        'app.integrations.github.checks_create({ owner = "a", repo = "b", name = "n", head_sha = "x", output = OUT })'
    )
    report = checker.check(call.replace("OUT", "{ title = 5, summary = 's' }"))
    assert "by its document, output.title must be a string" in "; ".join(map(str, report.findings))
    assert report.errors == []
    assert checker.check(call.replace("OUT", '{ title = "t", summary = "s" }')).findings == []


def test_the_fields_of_a_result_are_listed_once(checker: Checker) -> None:
    """Each further field that is missing has only what is meant."""
    report = checker.check(in_loop("print(s.created_at, s.updated_at)"))
    assert ["it has" in finding.message for finding in report.findings] == [True, False]
    assert [finding.hint for finding in report.findings] == ["did you mean 'createdAt'?", "did you mean 'updatedAt'?"]
