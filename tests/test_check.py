"""The check: what is certain to fail is an error, what is likely to a warning, and what is right is left alone."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from time import thread_time

import pytest
from conftest import Write
from support.library import ACCOUNTS, library

from kosmolua import Runtime
from kosmolua.check.checker import Checker, Report
from kosmolua.docs.pages import NAMES, GuidePage
from kosmolua.lua import syntax
from kosmolua.lua.environment import GLOBALS, LIBRARIES
from kosmolua.lua.syntax import Node
from kosmolua.lua.values import Secrets

ROOT = Path(__file__).parent.parent
SHARED = next((each / "shared" for each in ROOT.parents if (each / "shared").is_dir()), ROOT / "shared")
TEST_PLUGIN = Path(__file__).parent / "plugins" / "render.py"
R = "local render = app.integrations.render2\n"
S = R + "local services = render.list_services({ limit = 3 }).services\n"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(simulate=True, environ={}, plugins=[TEST_PLUGIN]) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def checker(runtime: Runtime) -> Checker:
    return Checker(runtime.catalog)


def told(report: Report) -> list[str]:
    return [str(finding) for finding in report.findings]


ERRORS = [
    ("import json\nprint(1)", "1:1: error: syntax error near 'import json' (there are no modules to load; json,"),
    (
        "from json import decode",
        "1:1: error: syntax error near 'from json import decode' (there are no modules",
    ),
    (
        "app.integrations.render2.get_deploy({ deploy_id = 'srv-cabc12345678' })",
        'not "srv-cabc12345678" (a string) (it looks like an id for service_id)',
    ),
    (
        "app.integrations.render2.get_service({ service_id = 'checkout-api' })",
        'not "checkout-api" (a string) (look the id up by name, in the result of a function that lists them)',
    ),
    ("prnt(1)", "1:1: error: nothing defines 'prnt': it is nil, and Lua cannot call nil (did you mean 'print'?)"),
    (
        "for _, x in ipairs('text') do print(x) end",
        "1:20: error: ipairs goes through a table, not a text (json.decode, csv",
    ),
    ("for _, x in pairs('x' .. arg[1]) do print(x) end", "1:19: error: pairs goes through a table, not a text"),
    ("print(#results.services)", "1:8: error: nothing defines 'results'"),
    (
        R + "render.list_services({ suspended = True })",
        "2:36: error: nothing defines 'True', so suspended would be left",
    ),
    ("if x then app.integrations.render2.list_services({ suspended = True }) end", "nothing defines 'True'"),
    (
        R + "local given = { name = nmae }\nrender.list_services(given)",
        "2:24: error: nothing defines 'nmae', so the field",
    ),
    (
        R + "render.list_services({ name = { 'a', nmae } })",
        "2:38: error: nothing defines 'nmae', so the field would be",
    ),
    ("local s = await app.integrations.render2.list_services({})", "1:11: error: nothing defines 'await'"),
    ("print(app.integrations.rendr2)", "1:7: error: app.integrations has no 'rendr2' (did you mean 'render2'"),
    ("app.integration.x()", "1:1: error: app has no 'integration'"),
    (R + "render.list_service({})", "2:1: error: app.integrations.render2 has no 'list_service' (did you mean"),
    (R + "render.prod.list_services({})", "app.integrations.render2 has no 'prod'"),
    (R + "local f = render.staging\nf.list_service()", "3:1: error: app.integrations.render2.staging has no"),
    (
        R + "render.get_service({ id = 'srv-1' })",
        "2:22: error: render2.get_service has no parameter 'id' (its parameters are",
    ),
    (R + "render.get_service()", "2:1: error: render2.get_service needs service_id"),
    (R + "local n = 500 render.list_services({ limit = n })", "2:46: error: render2.list_services: limit must be an"),
    (R + "render.list_services({ type = 'web' })", "type must be one of 'web_service'"),
    (R + "render.get_service('a', 'b')", "render2.get_service takes at most 1 arguments"),
    (
        R + "render:list_services()",
        "a colon passes render as an argument (call it with a dot: render.list_s",
    ),
    (
        S + "services:filter(print)",
        "3:1: error: there is no 'filter' of a list: it is nil, and Lua cannot call nil (go",
    ),
    (S + "print('all: ' .. services)", "services is a table and cannot be joined to text"),
    (S + "print('name: ' + services[1].name)", "a text cannot be used with + (texts are joined with ..)"),
    (S + "for s in services do print(s) end", "services is a table, and a loop needs an iterator (for _, item in"),
    (S + "print(services[1].name.includes('a'))", "there is no 'includes' of a text"),
    (R + "local page = render.list_services()\nparallel.map(page, print)", "parallel.map needs a list"),
    ("parallel.all(function() end, function() end)", "parallel.all takes one list of functions"),
    ("local out = {} out.push(1)", "there is no 'push' of this table"),
    ("print(string.split('a', ','))", "there is no 'string.split'"),
    ("print(os.getenv('HOME'))", "there is no 'os.getenv'"),
    ("print(os.time('2026-03-01'))", "os.time takes a table, not a text"),
    ("print('10' > 5)", "a text is compared with a number"),
    ("print(table.unpack(pcall(print)))", "pcall returns several values"),
    ("local function main() prnt(1) end\nmain()", "1:23: error: nothing defines 'prnt'"),
    ("local function f(x) return x.y.z end f({})", "there is no 'y' of this table"),
    ("app.x = 1", "1:1: error: app"),
    ("local function f() local x = 1 end local s = f() print(s.name)", "there is no value that f returns"),
    ("local result = pcall(print) print(result.name)", "a boolean has no 'name'"),
    ("print('ok: ' .. true)", "true is a boolean and cannot be joined to text (tostring(true))"),
    ("local n = 5 n()", "n is a number, not a function"),
    ("for _ in ipairs(5) do end", "ipairs goes through a table, not a number (for i = 1, n do counts)"),
    (R + "parallel.all({ render.list_owners() })", "parallel.all takes functions, but this calls the function first"),
    ("parallel.map(function(x) return x end, { 1 })", "parallel.map takes the list first"),
    (R + "pcall(render.list_owners())", "pcall takes a function, but this calls the function first"),
    (R + "pcall(render.list_ownrs, {})", "has no 'list_ownrs' (did you mean 'list_owners'"),
    (
        R + "local a, b = parallel.all({ render.list_owners }) print(b.owners)",
        "there is no second value that parallel.all",
    ),
    (
        R + "local repo = app.integrations.github.get_repo('a/b') print('private: ' .. repo.private)",
        "(tostring(repo.private))",
    ),
    (R + "local s = render.get_service('srv-cabc12345678').service render.list_deploys({ service_id = s })", "(s.id)"),
    (R + "render.list_services({ created_after = os.time() - 60 })", "(time.format(os.time() - 60))"),
    (R + "render.list_services({ account = 'staging' })", "app.integrations.render2.staging.list_services(...)"),
    (R + "render.list_services({ filter = { type = 'web_service' } })", "(type belong beside the other arguments"),
    (S + "parallel.map(services, render.list_deploys)", "would get an item of 'services' as its arguments"),
    (R + "local v = render.get_env_var(arg[1], 'A') render.set_env_var(arg[1], 'B', v)", "not a table"),
    (
        R + "render.set_env_var({ service_id = arg[1], key = 'B', value = render.get_env_var(arg[1], 'A').env_var })",
        ".value)",
    ),
    (
        S + "services.remove(1)",
        "there is no 'remove' of a list: it is nil, and Lua cannot call nil (table.remove(list,",
    ),
    (
        R + "render.set_env_var(arg[1], { key = 'A', value = 'b' })",
        "takes its arguments in one table or by position, not both",
    ),
    (R + "render.list_services({ page = 2 })", "did you mean 'cursor'?"),
    ("app.integrations.github.list_repos({ cursor = arg[1] })", "did you mean 'page'?"),
    (R + "json.decode(render.list_owners())", "json.decode takes a text, not a table"),
]


def test_a_missing_name_is_told_once_a_line(checker: Checker) -> None:
    """Not again as a warning where the name is called."""
    report = checker.check("local r = app.integrations.render2\nprint(r.list_domains and r.list_domains({}))")
    assert [(each.line, each.column, each.severity) for each in report.findings] == [(2, 7, "error")]


@pytest.mark.parametrize(("source", "words"), ERRORS)
def test_what_is_certain_to_fail_is_an_error(checker: Checker, source: str, words: str) -> None:
    """With its place, and what to write instead."""
    errors = [line for line in told(checker.check(source)) if ": error: " in line]

    assert any(words in line for line in errors), errors


@pytest.mark.parametrize(
    "source",
    [
        "if ... then {} end",
        "local ok = pcall(function() {} end)",
        "local function never() {} end",
        "local f = function() {} end\nprint(f)",
        "for _ = 1, #arg do {} end",
        "local x = #arg > 0 and (function() {} end)()",
        "if #arg > 0 then return end\n{}",
        "while true do if #arg == 0 then break end end\n{}",
        "xpcall(function() {} end, print)",
        "local try = pcall\ntry(function() {} end)",
        "local function try(f, ...) return pcall(f, ...) end\ntry(function() {} end)",
        "coroutine.wrap(function() {} end)",
    ],
)
@pytest.mark.parametrize("wrong", ["app.integrations.nothing()", "prnt(1)", "app.integrations.render2.get_service()"])
def test_what_may_not_be_reached_is_a_warning(checker: Checker, source: str, wrong: str) -> None:
    """A script that would have run is never refused."""
    report = checker.check(source.replace("{}", wrong))

    assert report.errors == []
    assert report.findings


WARNINGS = [
    ("return render2", "nothing defines 'render2', so it is nil", "it is app.integrations.render2"),
    ("local name = 'a' print({ name = nmae })", "nothing defines 'nmae', so it is nil", "did you mean 'name'?"),
    ("local name = 'a' print({ list = { 1, nmae } })", "nothing defines 'nmae', so it is nil", "did you mean 'name'?"),
    ("write('%d services', 3)", "write does not replace placeholders", "string.format"),
    (S + "print(services[1].created_at)", "has no field 'created_at'", "did you mean 'createdAt'?"),
    (R + "print(render.get_service('srv-cabc12345678').name)", "has no field 'name'", "did you mean 'service.name'?"),
    (
        R + "local page = render.list_services()\nfor _, s in ipairs(page) do end",
        "ipairs needs a list",
        "page.services",
    ),
    (R + "local page = render.list_services()\nprint(#page)", "# needs a list", "the list is page.services"),
    (R + "local page = render.list_services()\nprint(page.length)", "has no field 'length'", "#list"),
    (S + "print(services[0])", "a list begins at 1", "the first is list[1]"),
    (S + "for i = 0, #services - 1 do print(services[i]) end", "a list begins at 1", "for i = 1, #list do"),
    (S + "print(services[1].imagePath .. '')", "'imagePath' may be nil", 'services[1].imagePath or ""'),
    (S + "parallel.map(services, function(s) return s.created_at end)", "has no field 'created_at'", "createdAt"),
    (S + "table.sort(services, function(a, b) return a.name <= b.name end)", "a sort with <= is invalid", "write <"),
    ("print('%d services', 3)", "print does not replace placeholders", "string.format"),
    ("print(json.encode({}, { indent = 2 }))", "json.encode has no option 'indent'", "pretty"),
    ("local s = 'abc' print(s[1])", "a text cannot be indexed by number", "text:sub(i, i)"),
    (r"print(('a1'):match('\\d'))", "a backslash has no special meaning in a Lua pattern", "%d"),
    (S + "local r = parallel.map(services, function(s) local n = s.name end)", "returns nothing", "return a value"),
    (
        S + "for _, s in ipairs(services) do if s.id == 5 then end end",
        "'id' is a text, so it never equals a number",
        "",
    ),
    (S + "if not services[1].type == 'cron_job' then end", "not is applied before ==", "services[1].type ~="),
    ("local x = 'a' if x == 'a' or 'b' then end", "'b' alone is always true", "x == 'b'"),
    (S + "if services[1].createdAt > os.time() - 60 then end", "a text is compared with a number", "time.parse("),
    (S + "print(services[1].createdAt - services[2].createdAt)", "is a text, not a number", "time.parse(services[1]"),
    (S + "for _, s in ipairs(services) do if s.autoDeploy == true then end end", "never equals a boolean", ""),
    (S + "for _, s in ipairs(services) do if s.name.value == 'x' then end end", "there is no 'value' of a text", ""),
    (S + "for _, s in ipairs(services) do print(s.service.id) end", "has no field 'service'", "leave .service out"),
    (S + "for _, s in ipairs(services) do render.list_deploys({ service_id = s.name }) end", "not the name", "s.id"),
    (S + "for s in ipairs(services) do print(s.name) end", "a number has no 'name'", "for _, item in ipairs(list) do"),
    (R + "local page, err = render.list_owners() print(err)", "there is no second value", "pcall(f, arguments)"),
    (
        R + "local ok, err = pcall(render.list_owners) if err.code == 404 then end",
        "never equals a number",
        "err.status",
    ),
    (R + "local ok, err = pcall(render.list_owners) if err == 'x' then end", "never equals a text", "err.message"),
    (R + "local ok, err = pcall(render.list_owners) print(err.status_code)", "has no field 'status_code'", "'status'"),
    (
        R + "print(string.format('%d', render.get_service('srv-cabc12345678').service.name))",
        "%d formats a number",
        "%s",
    ),
    (R + "sleep(5000)", "sleep takes seconds", "sleep(5)"),
    ("if ('x'):match('failed|canceled') then end", "a Lua pattern has no alternatives", "regex.match(text, pattern)"),
    ("if ('x'):match('^%d{4}-') then end", "a Lua pattern has no repetition counts", "%d%d%d%d"),
    ("print(time.format(time.now(), 'YYYY-MM-DD'))", "a format of a date needs % before each letter", "%Y-%m-%d"),
    (S + "local n = {} for _, s in ipairs(services) do n[s.type] = 1 end print(#n)", "# needs a list", "pairs(map)"),
    (
        S + "local n = {} for _, s in ipairs(services) do n[s.id] = s end for k in ipairs(n) do end",
        "ipairs needs",
        "in pairs",
    ),
    (
        "local n = { a = 1, b = 2 } table.sort(n)",
        "table.sort needs a list, but n has names as keys",
        "collect the keys",
    ),
    ("local n for _, x in ipairs(arg) do n = n + x end", "n is nil at first", "declare it with local n = 0"),
    ("local n = {} for _, x in ipairs(arg) do n[x] = n[x] + 1 end", "n[x] is nil at first", "(n[x] or 0)"),
    ("local n = {} for _, x in ipairs(arg) do table.insert(n[x], 1) end", "n[x] is nil at first", "n[x] = n[x] or {}"),
    ("local n = {} for _, x in ipairs(arg) do n[x][1] = 1 end", "n[x] is nil at first", "n[x] = n[x] or {}"),
    (
        "local all = {} if #arg > 0 then local all = { 1 } end print(#all)",
        "this local is never used, and hides the 'all'",
        "leave local out",
    ),
    (S + "for _, s in ipairs(services) do if s.type == 'web' then end end", "'type' is never 'web'", "'web_service'"),
    (
        R + "local d = render.get_deploy({ deploy_id = arg[1] }).deploy if d.status == 'failed' then end",
        "is never 'failed'",
        "",
    ),
    (
        S + "for _, s in ipairs(services) do if s.suspended then end end",
        "any text is true, even an empty one",
        "compare it",
    ),
    (
        "local r = app.integrations.github.list_pull_requests('a/b') for _, p in ipairs(r.pull_requests) do "
        "if not p.merged_at and arg[1] then end end",
        "any text is true, even an empty one",
        'p.merged_at ~= ""',
    ),
    (
        R + "local c repeat local p = render.list_services({ limit = 9 }) c = p.cursor until not c",
        "same page",
        "cursor = c",
    ),
    (
        "local n repeat local p = app.integrations.github.list_repos() n = p.next_page until not n",
        "same page",
        "page = n",
    ),
    ("local n = 1 print('there are ${n}')", "Lua does not insert values into a text", ".."),
    (S + "print(services[1].name.text)", "there is no 'text' of a text", "'name' is the text itself"),
    (S + "print(services.name)", "there is no 'name' of a list", "compare a field of each item"),
    (
        R + "if render.list_env_vars({ service_id = arg[1] }).env_vars.DEBUG then print(1) end",
        "there is no 'DEBUG' of a list: it is nil, which is never true",
        "compare a field of each item",
    ),
    (S + "print(services.first)", "is a list and has no 'first'", "list[1]"),
    (S + "function show(s) print(s.nme) end show(services[1])", "has no field 'nme'", "did you mean 'name'?"),
    (
        S + "function all() return services end if #arg > 0 then for s in all() do end end",
        "a loop needs an iterator",
        "ipairs(all())",
    ),
    (S + "print(services[1].suspenders[1].id)", "there is no 'id' of a text", "is the text itself"),
    (S + "print(services[1].createdAt.sub(1, 10))", "a dot does not pass the text to sub", "createdAt:sub(1, 10)"),
    (
        R + "local r = render.get_service(arg[1]) if r.error then print(1) end",
        "no field 'error'",
        "pcall(f, arguments)",
    ),
    (R + "local page = render.list_services() table.sort(page)", "table.sort needs a list", "page.services"),
    (R + "local page = render.list_services() print(table.unpack(page))", "table.unpack needs a list", "page.services"),
    (R + "local page = render.list_services() table.remove(page, 1)", "table.remove needs a list", "page.services"),
    (R + "local page = render.list_services() print(table.concat(page))", "table.concat needs a list", "page.services"),
    (S + "print(services.items)", "is a list and has no 'items'", "it is the list itself"),
    (
        R + "for k, v in pairs(render.list_services({ limit = 2 })) do end",
        "a loop over items needs a list",
        ".services",
    ),
    (
        "local id = nil for _, x in ipairs(arg) do local id = x end print(id)",
        "this local is never used, and hides the 'id'",
        "leave local out",
    ),
    ("local t = {} for _, x in ipairs(arg) do t[#t] = x end print(t)", "is the last item", "t[#t + 1]"),
    ("local x = arg[1] if x ~= 'a' or x ~= 'b' then end", "one of these comparisons is always true", "write and"),
    ("local x = arg[1] if x == 'a' and x == 'b' then end", "one of these comparisons is always false", "write or"),
    (
        R + "local i = render.get_postgres_connection_info(arg[1]).connection_info print('x' .. i.password)",
        "secret",
        "whole",
    ),
    (S + "print(os.date('%Y', services[1].createdAt))", "os.date takes seconds", "time.parse(services[1].createdAt)"),
    (R + "local function main() print(#render.list_owners().owners) end", "nothing is called here", "main()"),
    ("assert(arg[1], 'no %s', 5)", "assert does not replace placeholders", "string.format"),
    ("local t = {} local sorted = table.sort(t)", "there is no value that table.sort returns", "it sorts the list"),
    ("print(os.date('YYYY-MM-DD'))", "a format of a date needs % before each letter", "%Y-%m-%d"),
    ("local function f() return None end", "nothing defines 'None'", "nil"),
    ("print(x == null)", "nothing defines 'null'", "Lua's word is nil"),
]


SECRETS = Secrets(("database_password", "token"))


@pytest.mark.parametrize(
    ("source", "told_of_it"),
    [
        ("local s = secrets.tokn", "1:11: error: there is no secret called 'tokn' (did you mean 'token'?)"),
        ('local s = secrets["Token"]', "1:11: error: there is no secret called 'Token' (did you mean 'token'?)"),
        (
            "f(secrets.zzz) function f() end",
            "error: there is no secret called 'zzz' (there are database",
        ),
        ("pcall(function() return secrets.tokn end)", "warning: there is no secret called 'tokn'"),
        ("if x then return secrets.tokn end", "warning: there is no secret called 'tokn'"),
        ("local t = secrets.token", None),
        ("local t = secrets[arg[1]]", None),
        ("for name in pairs(secrets) do print(name, secrets[name]) end", None),
        ("local secrets = {} print(secrets.tokn)", None),
        ("secrets = { tokn = 1 } print(secrets.tokn)", None),
    ],
)
def test_secrets_that_nobody_gave(runtime: Runtime, source: str, told_of_it: str | None) -> None:
    """A name that a run would not find is an error with near names, and nothing if the secrets are not known."""
    found = [each for each in told(Checker(runtime.catalog, SECRETS).check(source)) if "secret" in each]
    assert (told_of_it is None) == (not found), found
    assert told_of_it is None or told_of_it in found[0]
    assert not any("secret" in each for each in told(Checker(runtime.catalog).check(source)))


def test_secrets_that_a_run_may_still_get(runtime: Runtime) -> None:
    """Where ``--secret`` may give more, an unknown name is only a warning."""
    report = Checker(runtime.catalog, SECRETS._replace(is_complete=False)).check("print(secrets.tokn)")
    assert [each.severity for each in report.findings] == ["warning"]


NULLS = """
local list = json.decode('[null, 1]')
if list[1] then print(1) end
"""


@pytest.mark.parametrize(
    "source",
    [
        NULLS,
        "for _, each in ipairs(json.decode('[1, null]')) do print(each and 1 or 2) end",
        "local rows = json.decode('[[null]]') while rows[1][1] do break end",
        "local list = json.decode('[null]') if not list[1] then print(1) end",
        "local list = json.decode('[null]') if list[1] == nil then print(1) end",
        "local list = json.decode('[null]') if x then elseif list[1] then print(1) end",
        "repeat local l = json.decode('[null]') until l[1]",
    ],
)
def test_null_in_a_list_is_true(checker: Checker, source: str) -> None:
    """A test that null would pass is a warning, and none once the script looks at ``json.null``."""
    assert any("may be json.null, which is true" in each and "warning" in each for each in told(checker.check(source)))
    knowing = f"{source}\nlocal null = json.null"
    assert not any("json.null" in each for each in told(checker.check(knowing)))


@pytest.mark.parametrize(
    "source",
    [
        "local list = json.decode('[1, 2]') if list[1] then print(1) end",
        "local map = json.decode('{\"a\": null}') if map.a then print(1) end",
        "local list = json.decode(input) if list[1] then print(1) end",
        S + "if services[1] then print(1) end",
    ],
)
def test_null_elsewhere_is_nil(checker: Checker, source: str) -> None:
    """As a field null is nil, so that a test of it says what it seems to."""
    assert not any("json.null" in each for each in told(checker.check(source)))


@pytest.mark.parametrize(("source", "words", "hint"), WARNINGS)
def test_what_is_likely_wrong_is_a_warning(checker: Checker, source: str, words: str, hint: str) -> None:
    """Lua would run it, and the answer would be wrong without a word."""
    report = checker.check(source)

    assert report.errors == []
    assert any(words in finding.message and hint in finding.hint for finding in report.findings), told(report)


@pytest.mark.parametrize(
    ("source", "place", "hint"),
    [
        ("print('a'.upper())", "1:10", "put a text in parentheses"),
        ("print(2 ** 3)", "1:", "x ^ y"),
        ("unless x do print(1) end", "1:", "if not"),
        ("list.each do |s| print(s) end", "1:", "ipairs(list)"),
        ("$x = 1", "1:1", "a name does not begin with $"),
        ("local n: number = 1", "1:", "a local has no type"),
        ("f({ limit = 5 type = 'x' })", "1:", "a comma between the fields"),
        ("x = 1\nif x != 2 then end", "2:", "Lua writes ~= for !="),
        ("local n = 0\nn += 1", "2:", "Lua writes x = x + 1"),
        ("if x then\nelif y then\nend", "2:", "Lua writes elseif"),
        ("local a = [1, 2]", "1:", "Lua writes { a, b } for [a, b]"),
        ("f({ limit: 3 })", "1:", "Lua writes { name = value }"),
        ("const x = 1", "1:", "Lua writes local"),
        ("for s of list do end", "1:", "ipairs(list)"),
        ("if !x then end", "1:", "Lua writes not"),
        ("```lua\nprint(1)\n```", "", "remove the lines with ```"),
        ("if x then\n  print(1)\n", "1:", ""),
    ],
)
def test_a_syntax_error_names_what_lua_has_instead(checker: Checker, source: str, place: str, hint: str) -> None:
    """One error, at the line where the idiom of the other language stands."""
    [finding] = checker.check(source).findings

    assert finding.severity == "error"
    assert str(finding).startswith(place)
    assert hint in finding.hint


@pytest.mark.parametrize(
    "source",
    [
        "goto done ::done::",
        "print(('').rep('ab', 3))",
        "function f() return {} end function f() return pairs({}) end for k in f() do print(k) end",
        "function f() return {} end load('f = pairs({})')() for k in f do print(k) end",
        "function first() return second() end function second() return 1 end print(first() + 1)",
        'local b = "--[[" .. "x" print(b)',
        "print('-- [[', '--[==[ x', \"it's --[[\")",
        "local x <const> = 1 print(x // 2, x & 3, ~x)",
        "function trim(s) return s end print(trim('x'))",
        "if DEBUG then print('debugging') end",
        "string.trim = function(s) return s end print(('a'):trim())",
        "local P = {} P.__index = P function P.new() return setmetatable({}, P) end P.new():move()",
        "local t = setmetatable({}, { __index = function() return print end }) t.anything()",
        "_G.helper = print helper(1)",
        "load('answer = 42')() print(answer + 1)",
        "local t = {} for _, k in ipairs(arg) do t[k] = print end if t.go then t.go() end",
        "getmetatable('').__index = function() return print end ('x').shout()",
        "local t = {} setmetatable(t, { __call = function() return nil end }) for x in t do end",
        "#!/usr/bin/env kosmolua\nprint(1)",
        "local name = arg[1] print(app.integrations[name or 'render2'])",
        R + "for _, member in pairs(render) do if type(member) == 'table' then print(member.list_jobs) end end",
        R + "print(render.list_services({ limit = 2.0, cursor = nil }).services[1].name:upper())",
        R + "local key = 'list_services' print(#render[key]({ limit = 3 }).services)",
        R + "local id = [[\nsrv-cabc12345678]] print(render.get_service(id).service.name)",
        S + "for _, s in ipairs(services) do if s.imagePath then print('x' .. s.imagePath) end end",
        S + "services.extra = 1 print(services.extra)",
        "local null = nil print(app.integrations.render2.list_services({ cursor = null }))",
    ],
)
def test_a_right_script_is_not_refused(checker: Checker, source: str) -> None:
    """Whatever Lua allows stays allowed."""
    assert checker.check(source).errors == []


def lua_blocks() -> Iterator[tuple[str, str]]:
    pages = {name: GuidePage(name).full() for name in NAMES}
    pages |= {file.name: file.read_text(encoding="utf-8") for file in (ROOT / "integrations").glob("*/*.md")}
    pages["tour"] = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    for name, text in pages.items():
        for number, code in enumerate(re.findall(r"^```lua\n(.*?)^```", text, re.DOTALL | re.MULTILINE)):
            yield f"{name} {number}", code
    for file in (ROOT / "scripts").glob("*.lua"):
        yield file.name, file.read_text(encoding="utf-8")


def refused(checker: Checker, sources: dict[str, str]) -> dict[str, list[str]]:
    """Return the scripts that a check refuses, with what it says."""
    reports = {name: checker.check(source) for name, source in sources.items()}
    return {name: told(report) for name, report in reports.items() if report.errors}


@pytest.mark.slow
def test_no_script_of_this_repository_is_refused(checker: Checker) -> None:
    """Every example of the documentation, and every script."""
    blocks = dict(lua_blocks())

    assert len(blocks) > 50
    assert refused(checker, blocks) == {}


@pytest.mark.slow
def test_no_test_in_lua_is_refused() -> None:
    """They use the language in every way."""
    with Runtime(ACCOUNTS, plugins=[library()], environ={"HOME_KEY": "x"}) as runtime:
        files = (ROOT / "tests" / "lua").glob("*.lua")
        sources = {file.name: file.read_text(encoding="utf-8") for file in files}
        assert refused(Checker(runtime.catalog), sources) == {}


def test_no_right_script_of_the_hostile_corpus_is_refused(checker: Checker) -> None:
    """What is there to show that a sandbox still allows it."""
    files = [*(SHARED / "attacks").glob("ok-*.lua"), *(ROOT / "tests" / "lua" / "attacks").glob("ok-*.lua")]

    assert refused(checker, {file.name: file.read_text(encoding="utf-8", errors="replace") for file in files}) == {}


@pytest.mark.slow
def test_typical_mistakes_of_models_are_found(checker: Checker) -> None:
    """Of 166, at least 140; the others are right, or fail in the service, or only at run time."""
    files = sorted((SHARED / "mistakes").glob("*.lua"))
    if not files:
        pytest.skip("the mistakes are not in this checkout")
    silent = [file.stem for file in files if not checker.check(file.read_text(encoding="utf-8")).findings]

    assert len(files) - len(silent) >= 140, silent


def test_the_bill_says_what_a_script_may_do(checker: Checker) -> None:
    """By effect and account, each function once, also those in functions that may not run."""
    report = checker.check(
        R
        + """
        local function clean(id) app.integrations.render2.staging.delete_service({ service_id = id }) end
        for _, s in ipairs(render.list_services().services) do clean(s.id) end
        parallel.map({ "srv-1" }, render.production.restart_service)
        print(#render.list_services({ all = true }).services)
        print(app.integrations.render2[arg[1]].list_jobs)
    """
    )

    assert {(charge.effect, charge.path, charge.account) for charge in report.bill} == {
        ("read", "render2.list_services", "default"),
        ("write", "render2.restart_service", "production"),
        ("destroy", "render2.delete_service", "staging"),
        ("read", "render2.list_jobs", "*"),
    }
    assert "writes render2." in report.summary()


def test_an_account_that_is_missing_is_an_error() -> None:
    """The call would be refused; nothing is said about what does not call."""
    with Runtime({}, environ={}) as runtime:
        checker = Checker(runtime.catalog)

        [finding] = checker.check("print(app.integrations.render2.list_services({}))").errors
        assert "render2 has no account" in finding.message
        assert finding.code == "setup"
        assert checker.check("print(app.integrations.render2)").errors == []


STRANGE = [
    "(" * 50_000,
    "x = " + "{" * 20_000 + "}" * 20_000,
    "a." * 30_000,
    "= " * 30_000,
    "@#$ if then [[ " * 3_000,
    "a." * 1_000_000,
    "x = [[ " + "a b\n" * 15_000,
    "[==[ " * 12_000,
    "\x00\xff",
    "",
]


@pytest.mark.slow
@pytest.mark.parametrize("source", STRANGE, ids=range(len(STRANGE)))
def test_no_source_breaks_the_check(checker: Checker, source: str) -> None:
    """However deep, long or strange it is, the check soon ends with a report."""
    started = thread_time()

    assert isinstance(checker.check(source), Report)
    assert thread_time() - started < 3


def test_nothing_is_kept_of_a_script(checker: Checker) -> None:
    """A server that checks for months holds no script that it has checked."""
    text = "x = 1 -- " + "a comment " * 2_000 + "\n"
    checker.check(text)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20):
            checker.check(f"{text}y = {number}\n")
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert kept < 5 * len(text)


@pytest.mark.parametrize("opening", ["x = [[", "--[==[ a comment", "print('[[') y = [=["])
def test_a_long_string_without_an_end_is_found_at_once(checker: Checker, opening: str) -> None:
    """Where it begins, however much follows."""
    started = thread_time()
    [finding] = checker.check("local a\n" + opening + " a b\n" * 12_000).findings

    assert thread_time() - started < 2
    assert finding.line == 2
    assert "is missing" in finding.message


def test_the_keys_of_a_long_table_are_read_once(checker: Checker, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the script uses the table."""
    read, key_of = [], syntax.key_of

    def count(node: Node) -> str | None:
        read.append(node)
        return key_of(node)

    monkeypatch.setattr(syntax, "key_of", count)
    checker.check("local t = {" + "1," * 500 + "}\n" + "print(#t, t[1])\n" * 50)

    assert len(read) < 5 * 500


def test_all_findings_come_at_once_in_order(checker: Checker) -> None:
    """A script is mended in one go."""
    report = checker.check("prnt(1)\nlocal x = nul\nstring.trim('x')\n" + "app.integrations.render2.get_service()")

    assert [finding.line for finding in report.findings] == [1, 2, 3, 4]


def test_the_environment_is_the_one_that_scripts_have(runtime: Runtime) -> None:
    """Whatever a script finds is known to the check."""
    outcome = runtime.run("""
        local names = {}
        for name, value in pairs(_G) do
          names[#names + 1] = name
          if type(value) == "table" and name ~= "_G" and name ~= "app" and name ~= "arg" then
            for field in pairs(value) do names[#names + 1] = name .. "." .. field end
          end
        end
        return names
    """)
    known = GLOBALS | {f"{library}.{field}" for library, fields in LIBRARIES.items() for field in fields}

    assert outcome.error is None
    assert set(outcome.result[0]) <= known


_TIMED = """
import time, sys
from pathlib import Path
from kosmolua import Runtime
with Runtime(simulate=True, environ={}) as runtime:
    runtime.catalog.accounts("render2")
    source = Path(sys.argv[1]).read_text()
    source = "\\n".join(f"do {source} end" for _ in range(200 // source.count("\\n") + 1))
    started = time.process_time()
    from kosmolua.check.checker import Checker
    Checker(runtime.catalog).check(source)
    print(time.process_time() - started)
"""


@pytest.mark.slow
def test_200_lines_are_checked_in_20_milliseconds(tmp_path: Path) -> None:
    """The import of the parser included, once the modules are compiled, on a machine of our days."""
    slower = max(1.0, _counting() / 0.1)
    command = [sys.executable, "-c", _TIMED, str(ROOT / "scripts" / "services_report.lua")]
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    compiled["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    runs = [subprocess.run(command, capture_output=True, text=True, check=True, env=compiled) for _ in range(4)]
    taken = [float(run.stdout) for run in runs]

    assert min(taken) <= 3 * 0.02 * slower, taken


def _counting() -> float:
    started = thread_time()
    sum(range(10_000_000))
    return thread_time() - started


def test_a_script_that_is_run_again_is_not_checked_again(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it may call other scripts, which can change."""
    checked: list[object] = []
    check = Checker.check

    def counting(self: Checker, source: str | bytes, known: None = None) -> Report:
        checked.append(source)
        return check(self, source, known)

    monkeypatch.setattr(Checker, "check", counting)
    once, always = "print(app.integrations.render2 ~= nil, 1)", "print(app.scripts ~= nil)"
    for source in (once, once, always, always):
        runtime.run(source, check=True)
    assert checked == [each.encode() for each in (once, always, always)]


PACKAGE = {
    "shop/__init__.py": "from .parts import integration\n",
    "shop/parts/__init__.py": "from .calls import integration\n",
    "shop/parts/calls.py": '''
from dataclasses import dataclass
from kosmolua.plugin import Integration
from ..faults import sold_out

@dataclass
class Shop:
    def open(self, send):
        return self

integration = Integration("shop", Shop, about="A shop.")

@integration.reads
def buy(shop, /) -> dict[str, str]:
    """Buy."""
    raise sold_out()
''',
    "shop/faults/__init__.py": "from .codes import sold_out\n",
    "shop/faults/codes.py": """
from kosmolua.plugin import ApiError

def sold_out():
    error = ApiError("no more")
    error.code = "sold_out"
    return error
""",
}


MODULE = {
    "shop.py": PACKAGE["shop/parts/calls.py"].replace("..faults", ".parts.faults"),
    "parts/faults.py": "from ..codes.of_goods import sold_out\n",
    "codes/of_goods.py": PACKAGE["shop/faults/codes.py"],
}


@pytest.mark.parametrize(("files", "plugin"), [(PACKAGE, "shop"), (MODULE, "shop.py")], ids=["package", "module"])
def test_codes_may_stand_anywhere_in_a_plugin(write: Write, tmp_path: Path, files: dict[str, str], plugin: str) -> None:
    """A code in its package, or in a folder that it imports from, is one of its errors; another text is not."""
    for name, text in files.items():
        write(name, text)
    with Runtime(simulate=True, environ={}, plugins=[tmp_path / plugin]) as runtime:
        checker = Checker(runtime.catalog)
        asks = "local ok, err = pcall(app.integrations.shop.buy) if err.code == '{}' then print(1) end"
        assert told(checker.check(asks.format("sold_out"))) == []
        assert "no error of a call has the code 'sold_off'" in told(checker.check(asks.format("sold_off")))[0]


def test_the_result_of_a_chunk_of_a_session_is_used(checker: Checker) -> None:
    """A session shows what its last expression returns, so that nothing is thrown away."""
    assert checker.check("('x'):upper()", known={}).findings == []
    assert [each.code for each in checker.check("('x'):upper()").findings] == ["meaning"]
