"""What the check knows of variables that change, of what functions return, and of what pcall catches."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kosmolua import Runtime
from kosmolua.check.checker import Checker

R = "local render = app.integrations.render2\n"
LIST = "render.list_services({ limit = 2 })"


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        yield Checker(runtime.catalog)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"local page\npage = {LIST}\nprint(#page)", "the list is page.services"),
        (f"local page\nif arg[1] then page = {LIST} end\nfor _, s in ipairs(page) do end", "ipairs needs a list"),
        (f"page = {LIST}\nprint(page[1].name)", "[1] needs a list"),
        (f"local page = {LIST}\nwhile page.next do page = {LIST} end", "has no field 'next': it has services, cursor"),
        (
            "local d = render.trigger_deploy({ service_id = arg[1] })\n"
            "repeat d = render.get_deploy({ service_id = arg[1], deploy_id = d.deploy.id }) until d.status == 'live'",
            "the result of trigger_deploy or the result of get_deploy has no field 'status': it has deploy",
        ),
        (f"local function get() return {LIST} end\nprint(#get())", "# needs a list"),
        (f"local function get() local page = {LIST} return page.services end\nprint(get()[1].nme)", "no field 'nme'"),
        (f"local get = function(n) return {LIST} end\nlocal ok, page = pcall(get, 1)\nprint(#page)", "# needs a list"),
        (f"local ok, page = pcall(function() return {LIST} end)\nfor _ in ipairs(page) do end", "page.services"),
        ("local ok, got = pcall(render.get_service, { service_id = arg[1] })\nprint(got.name)", "'service.name'"),
        (
            "local got = parallel.map(arg, function(id) return render.get_service({ service_id = id }) end)\n"
            "for _, each in ipairs(got) do print(each.name) end",
            "an item of the result of parallel.map has no field 'name'",
        ),
        (f"local page = assert({LIST})\nprint(page.services[1].nme)", "has no field 'nme'"),
        (f"for _, s in ipairs({LIST}.services or {{}}) do print(s.nme) end", "has no field 'nme'"),
        (f"local first = {LIST}.services[1]\nlocal name = first and first.nme", "has no field 'nme'"),
        ("local t = { 1, 2 } print(t.length)", "a list has no 'length'"),
        (f"if {LIST}.services[1].createdAt > os.time() then end", "a text is compared with a number"),
    ],
)
def test_a_wrong_use_is_a_warning(checker: Checker, source: str, words: str) -> None:
    """However the value came to where it is used."""
    report = checker.check(R + source)

    assert report.errors == []
    assert any(words in finding.advice for finding in report.findings), [str(each) for each in report.findings]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("print(render.list_services.services)", "render2.list_services is a function, but is not called here"),
        (
            "print(csv.encode({}))",
            "there is no 'csv.encode': it is nil, and Lua cannot call nil (it has format, parse)",
        ),
    ],
)
def test_what_is_certain_to_fail_is_an_error(checker: Checker, source: str, words: str) -> None:
    """Before anything is sent."""
    [error] = checker.check(R + source).errors

    assert words in str(error)


@pytest.mark.parametrize(
    "source",
    [
        f"local page = {{ services = {{}} }}\nif arg[1] then page = {LIST} end\nprint(page.other)",
        f"local page = {LIST}\nif arg[1] then page = json.decode(arg[1]) end\nprint(page.other)",
        f"local page\nfor i = 1, 2 do page = {LIST} end\nfunction page() end",
        f"local function show(page) print(page.other) end\nlocal page = {LIST}\npage = arg\nshow(page)",
        f"page = {LIST}\nload('page = {{ other = 1 }}')()\nprint(page.other)",
        f"local ok, page = pcall(function() return {LIST} end)\nif not ok then print(page.code, page:upper()) end",
        f"local ok, page = pcall(function() return {LIST} end)\nprint(page.own, 'it says ' .. page)",
        "local ok, got = pcall(render.get_service, { service_id = arg[1] })\nprint(ok and got.service.name or got)",
        f"local function first(list) return list[1] end\nprint(first({LIST}.services).name, first({{ 1 }}).other)",
        f"local function get(n) if n == 0 then return {LIST} end return get(n - 1) end\nprint(get(2).services)",
        f"local function get(n) if n > 0 then return {LIST} end return {{ other = 1 }} end\nprint(get(0).other)",
        "local cursor\nrepeat local p = render.list_services({ cursor = cursor }) cursor = p.cursor until not cursor",
        f"local page, other = {LIST}\nother = page.services\nprint(#other, other[1].name)",
        "local d = render.get_service({ service_id = arg[1] })\nd = render.get_deploy({ deploy_id = arg[2] })\n"
        "print(d.service, d.deploy)",
        "local t = { 1, 2 } t.length = 2 print(t.length)",
        "local list = { n = 1 } print(list.count)",
        f"local ids = {{}}\nfor _, s in ipairs({LIST}.services) do ids[#ids + 1] = s.id end\n"
        "print(#render.list_logs({ resource_id = ids }).logs)",
        "local n = {} for _, x in ipairs(arg) do n[x] = (n[x] or 0) + 1 end print(#n)",
        "local n = {} for i, x in ipairs(arg) do n[i] = x n.last = x end print(#n)",
        "local n = { a = 1 } table.insert(n, 1) print(#n)",
        "local function add(t, x) t[#t + 1] = x end local n = {} n.name = 'x' add(n, 1) print(#n)",
        "local n function set() n = 1 end set() n = n + 1 print(n)",
        "local n = setmetatable({}, { __index = print }) for _, x in ipairs(arg) do n[x] = n[x] + 1 end",
        "local n = {} local function add(k) n[k] = n[k] or {} table.insert(n[k], 1) end add('x') print(n.x[1])",
        "local all = {} do local all = { 1 } print(#all) end print(#all)",
        f"local n = {{}} for _, s in ipairs({LIST}.services) do n[s.id] = s n[#n + 1] = s end print(#n)",
        f"for _, s in ipairs({LIST}.services) do print(s.suspended or '-', s.url and 1) if s.repo then end end",
        "local c repeat local q = { cursor = c } local p = render.list_services(q) c = p.cursor until not c",
        "local function get(c) return render.list_services({ cursor = c }) end\n"
        "local c repeat local p = get(c) c = p.cursor until not c",
        f"for _, s in ipairs({LIST}.services) do print(s.name.text or s.name, s.name.x and 1) end",
        f"for k, v in pairs({LIST}.services[1]) do print(k, v) end",
        "local t = {} for _, x in ipairs(arg) do t[#t + 1] = x end t[#t] = nil print(t)",
        "local t = { 1 } for _, x in ipairs(arg) do t[#t] = x end print(t)",
        "local found = false for _, x in ipairs(arg) do if x == 'a' then found = true end end print(found)",
        "local x = arg[1] if x ~= 'a' and x ~= 'b' or x == 'c' then end",
        "parallel.map({ 'srv-cabc12345678' }, render.get_service)",
        "print(os.date('%Y', time.parse(arg[1])), time.format(time.now() - 60))",
        "local function main() print(#render.list_owners({ all = true }).owners) end return main()",
        "local d = render.get_deploy({ deploy_id = arg[1] }).deploy print(d.status .. ' since ' .. d.createdAt)",
        "local name = 'x' local t = 'hi ${name}' print((t:gsub('%${(%w+)}', { name = name })))",
        "local ids = {}\ntable.insert(ids, arg[1])\nrender.list_logs({ resource_id = ids })",
        "local q = { limit = 0 }\nq.limit = 5\nrender.list_services(q)",
        "local function by(list, key) return type(key) == 'function' and key(list) or list[key] end\nby(arg, 'n')",
        "local function id_of(x) if type(x) ~= 'table' then return x end return x.id end\nprint(id_of(5))",
        "local function say(x, f) return f and f(x) or x end\nprint(say(1), say({ 1 }, table.concat))",
    ],
)
def test_a_right_use_is_not_warned_of(checker: Checker, source: str) -> None:
    """Where a value may be something else, nothing is said."""
    assert [str(each) for each in checker.check(R + source).findings] == []


W = "render.restart_service({ service_id = arg[1] })\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (f"if arg[2] == 'a' or 'b' then {W} end", "is always true"),
        (f"{W}local s = {LIST}.services table.sort(s, function(a, b) return a.nme < b.nme end)", "no field 'nme'"),
        (f"{W}repeat local d = render.get_deploy(arg[1]).deploy until d.status == 'done'", "never 'done'"),
        (f"{W}local d while d.status ~= 'done' do d = render.get_deploy(arg[1]).deploy end", "never 'done'"),
        (f"if arg[2] ~= 'a' or arg[2] ~= 'b' then {W} end", "is always true"),
        (f"{W}local d = render.get_deploy(arg[1]).deploy\nprint(d.finishedAt - d.startedAt)", "time.parse("),
        (f"{W}local d = render.get_deploy(arg[1]).deploy\nprint(string.format('%d', d.status))", "%d formats a number"),
        ("local d = render.trigger_deploy({ service_id = arg[1] })\nprint('deploy ' .. d.status)", "'deploy.status'"),
        (
            "local d = render.trigger_deploy({ service_id = arg[1] })\nrender.get_deploy({ deploy_id = d.id })",
            "'deploy.id'",
        ),
        (
            "local p = render.create_postgres({ name = 'd', plan = 'free', version = '17' })\nprint(p.info.url)",
            "'info'",
        ),
        (f"for _, s in ipairs({LIST}.services) do\n{W}print(s.name .. s.region) end", "no field 'region'"),
        (f"if #{LIST}.services == 0 then return end\n{W}log_info('done')", "nothing defines 'log_info'"),
        (f"for _, s in ipairs({LIST}.services) do\n{W}print('did ' .. srv.name) end", "nothing defines 'srv'"),
        (f"local function done(s)\n{W}print(s.name .. srv.name) end\nfor _, s in ipairs(arg) do done(s) end", "'srv'"),
        (f"if arg[1] then\n{W}render.wait_for_deploy({{}}) end", "has no 'wait_for_deploy'"),
        (f"{W}local M = {{}}\nfunction M.f() prnt(1) end\nM.f()", "nothing defines 'prnt'"),
    ],
)
def test_what_fails_after_a_write_is_an_error(checker: Checker, source: str, words: str) -> None:
    """Wherever it stands: when it is reached, something was changed."""
    errors = checker.check(R + source).errors

    assert any(words in each.advice for each in errors), [str(each) for each in errors]


@pytest.mark.parametrize(
    "source",
    [
        f"{W}local ok = pcall(function() prnt(1) end)",
        f"{W}local function try(f) return pcall(f) end\ntry(function() prnt(1) end)",
        f"{W}local function unused() prnt(1) end",
        f"{W}if log_info then log_info('x') end",
        f"{W}load('function helper() end')() helper()",
        f"{W}print({LIST}.other)",
        f"print('x' .. {LIST}.services[1].other)",
        f"for _, s in ipairs({LIST}.services) do prnt(s) end",
        f"{W}print('x' .. app.integrations.github.repos_get_branch('a', 'b', 'c').other)",
        f"{W}if app.integrations.github.repos_get_branch('a', 'b', 'c').name > 5 then end",
    ],
)
def test_what_may_be_caught_or_changed_nothing_is_no_error(checker: Checker, source: str) -> None:
    """Nor is what only reads, or shows nil."""
    assert [str(each) for each in checker.check(R + source).errors] == []
