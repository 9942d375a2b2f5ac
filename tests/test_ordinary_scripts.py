"""Ordinary scripts, of the kind that models write: none is refused by the check, and each answer is right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from kosmolua import Runtime

SCRIPTS: dict[str, tuple[str, list[Any]]] = {
    "count by type": (
        """
        local render = app.integrations.render2

        local counts = {}
        for _, s in ipairs(render.list_services({ all = true }).services)
          do counts[s.type] = (counts[s.type] or 0) + 1 end
        local keys = {}
        for k in pairs(counts) do keys[#keys + 1] = k end
        table.sort(keys)
        local out = {}
        for _, k in ipairs(keys) do out[#out + 1] = k .. "=" .. counts[k] end
        return table.concat(out, ",")
        """,
        ["background_worker=22,cron_job=22,private_service=22,static_site=23,web_service=23"],
    ),
    "latest deploys at once": (
        """
        local render = app.integrations.render2

        local services = render.list_services({ type = "web_service", limit = 5 }).services
        local statuses = parallel.map(services, function(s)
          local page = render.list_deploys({ service_id = s.id, limit = 1 })
          return page.deploys[1] and page.deploys[1].status or "none"
        end)
        return #statuses == #services, statuses[1] ~= nil
        """,
        [True, True],
    ),
    "pcall not found": (
        """
        local render = app.integrations.render2

        local ok, err = pcall(render.get_service, { service_id = "srv-doesnotexist1" })
        if not ok and err.status == 404 then return "missing" end
        return "found"
        """,
        ["missing"],
    ),
    "csv report": (
        """
        local render = app.integrations.render2

        local rows = {}
        for _, s in ipairs(render.list_services({ limit = 3 }).services) do
          rows[#rows + 1] = { name = s.name, type = s.type } end
        local text = csv.format(rows)
        local back = csv.parse(text)
        return #back, back[1].name == rows[1].name
        """,
        [3, True],
    ),
    "dates": (
        """
        local t = time.parse("2026-03-02T10:00:00Z")
        local week = 7 * 24 * 3600
        return time.format(t - week), os.date("!%Y-%m-%d", t), os.difftime(t, t - week) / 86400
        """,
        ["2026-02-23T10:00:00Z", "2026-03-02", 7.0],
    ),
    "string work": (
        """
        local s = "  The quick, brown fox  "
        local trimmed = s:match("^%s*(.-)%s*$")
        local words = {}
        for w in trimmed:gmatch("%a+") do words[#words + 1] = w:lower() end
        return trimmed, table.concat(words, "-"), ("%05.1f|%-6s|%x"):format(3.14159, "ab", 255)
        """,
        ["The quick, brown fox", "the-quick-brown-fox", "003.1|ab    |ff"],
    ),
    "github issues by label": (
        """
        local github = app.integrations.github

        local by_label, labels = {}, {}
        for _, one in ipairs(github.list_issues({ repo = "octocat/hello-world", state = "all", all = true }).issues) do
          for _, label in ipairs(one.labels) do by_label[label] = (by_label[label] or 0) + 1 end
        end
        for label in pairs(by_label) do labels[#labels + 1] = label end
        table.sort(labels)
        return table.concat(labels, ","), by_label[labels[1]]
        """,
        ["bug,help wanted", 1],
    ),
    "memoise and closures": (
        """
        local function memo(f) local cache = {} return function(n)
          if cache[n] == nil then cache[n] = f(n) end return cache[n] end end
        local fib
        fib = memo(function(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end)
        return fib(50)
        """,
        [12586269025],
    ),
    "class with metatable": (
        """
        local Stack = {}
        Stack.__index = Stack
        function Stack.new() return setmetatable({ items = {} }, Stack) end
        function Stack:push(v) self.items[#self.items + 1] = v return self end
        function Stack:pop() return table.remove(self.items) end
        local s = Stack.new():push(1):push(2)
        return s:pop(), s:pop(), s:pop()
        """,
        [2, 1, None],
    ),
    "retry": (
        """
        local render = app.integrations.render2

        local function retry(n, f, ...)
          local last
          for attempt = 1, n do
            local results = table.pack(pcall(f, ...))
            if results[1] then return attempt, table.unpack(results, 2, results.n) end
            last = results[2]
            if not (type(last) == "table" and last.retryable) then error(last, 0) end
            sleep(2 ^ attempt)
          end
          error(last, 0)
        end
        local attempt, page = retry(3, render.list_owners)
        return attempt, type(page)
        """,
        [1, "table"],
    ),
    "env vars as map": (
        """
        local render = app.integrations.render2

        local id = render.list_services({ type = "web_service", limit = 1 }).services[1].id
        local map = {}
        for _, v in ipairs(render.list_env_vars({ service_id = id }).env_vars) do map[v.key] = v.value end
        local n = 0
        for _ in pairs(map) do n = n + 1 end
        return n > 0
        """,
        [True],
    ),
    "json round trip": (
        """
        local v = json.decode('{"a":[1,2,{"b":null}],"c":{},"d":[]}')
        v.a[#v.a + 1] = "x"
        return json.encode(v)
        """,
        ['{"a":[1,2,{"b":null},"x"],"c":{},"d":[]}'],
    ),
    "paging by cursor": (
        """
        local render = app.integrations.render2

        local names, cursor = {}, nil
        repeat
          local page = render.list_services({ limit = 5, cursor = cursor })
          for _, s in ipairs(page.services) do names[#names + 1] = s.name end
          cursor = page.cursor
        until not cursor
        return #names
        """,
        [112],
    ),
    "regex": (
        """
        local m = regex.match("v12.4.1-rc2", [[v(?P<major>\\d+)\\.(\\d+)]])
        local parts = regex.split("a, b;c", "[,;]\\\\s*")
        return m.major, #parts, regex.gsub("2026-03-02", [[(\\d+)-(\\d+)-(\\d+)]], "$3.$2.$1")
        """,
        ["12", 3, "02.03.2026", 1],
    ),
    "group and sort": (
        """
        local render = app.integrations.render2

        local by_region = {}
        for _, s in ipairs(render.list_services({ all = true }).services) do
          local details = s.serviceDetails or {}
          local region = details.region or "static"
          by_region[region] = by_region[region] or {}
          table.insert(by_region[region], s.name)
        end
        local regions = {}
        for region, names in pairs(by_region) do table.sort(names) regions[#regions + 1] = region end
        table.sort(regions, function(a, b) return #by_region[a] > #by_region[b]
          or (#by_region[a] == #by_region[b] and a < b) end)
        return #regions > 0, type(regions[1])
        """,
        [True, "string"],
    ),
    "parallel all with errors": (
        """
        local render = app.integrations.render2

        local results = parallel.all({
          function() return pcall(render.get_service, "srv-doesnotexist1") end,
          function() return #render.list_services({ limit = 2 }).services end,
        }, { limit = 2 })
        return results[1], results[2]
        """,
        [False, 2],
    ),
    "varargs and select": (
        """
        local function sum(...)
          local t = 0 for i = 1, select("#", ...) do t = t + (select(i, ...) or 0) end return t end
        return sum(1, nil, 3), math.max(table.unpack({ 4, 9, 2 })), #table.pack(1, 2, 3)
        """,
        [4, 9, 3],
    ),
    "write and check": (
        """
        local render = app.integrations.render2

        local id = render.list_services({ type = "web_service", limit = 1 }).services[1].id
        render.set_env_var({ service_id = id, key = "FLAG", value = "on" })
        for _, v in ipairs(render.list_env_vars({ service_id = id, all = true }).env_vars) do
          if v.key == "FLAG" then return v.value end
        end
        error("FLAG is missing")
        """,
        ["on"],
    ),
    "deploy and wait": (
        """
        local render = app.integrations.render2

        local id = render.list_services({ type = "web_service", limit = 1 }).services[1].id
        local deploy = render.trigger_deploy({ service_id = id }).deploy
        local deadline = time.now() + 600
        while deploy.status ~= "live" and time.now() < deadline do
          if deploy.status:match("failed$") or deploy.status == "canceled" then error("deploy " .. deploy.status) end
          sleep(10)
          deploy = render.get_deploy({ service_id = id, deploy_id = deploy.id }).deploy
        end
        return deploy.status
        """,
        ["live"],
    ),
    "two accounts diff": (
        """
        local a = app.integrations.render2.production.list_services({ all = true }).services
        local b = app.integrations.render2.staging.list_services({ all = true }).services
        local names = {}
        for _, s in ipairs(b) do names[s.name] = true end
        local missing = {}
        for _, s in ipairs(a) do if not names[s.name] then missing[#missing + 1] = s.name end end
        return type(missing), #a > 0
        """,
        ["table", True],
    ),
    "url and base64 and hash": (
        """
        return url.query({ q = "a b", page = 2 }),
          base64.decode(base64.encode("h\\0i")), hash.sha256("x"):sub(1, 8), url.decode("a%20b")
        """,
        ["page=2&q=a%20b", "h\x00i", "2d711642", "a b"],
    ),
}


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A simulation that allows writes."""
    with Runtime(os.devnull, simulate=True, yes=True, environ={}) as runtime:
        yield runtime


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_ordinary_script_runs(runtime: Runtime, name: str) -> None:
    """The check has nothing to say, and the script returns what it should."""
    script, expected = SCRIPTS[name]
    outcome = runtime.run(script, check=True)
    assert outcome.ok, outcome.error
    assert outcome.warnings == []
    assert outcome.result == expected


def test_answers_that_can_be_counted(runtime: Runtime) -> None:
    """What a script counts page by page is what the simulator has."""
    services = runtime.call("render2.list_services", {"all": True})["services"]
    counts: dict[str, int] = {}
    for service in services:
        counts[service["type"]] = counts.get(service["type"], 0) + 1
    assert SCRIPTS["paging by cursor"][1] == [len(services)]
    assert SCRIPTS["count by type"][1] == [",".join(f"{kind}={counts[kind]}" for kind in sorted(counts))]
