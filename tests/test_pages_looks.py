"""How the pages look: states of every page at three widths, without a broken line, a jump or a barrier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, expect
from support.page import BROKEN, CLEAN_UP, DELETE, REPORT, RESTART, Pages, served
from support.processes import eventually
from test_pages_browser import AXE, CHROMIUM, TIMEOUT, Window, chromium, is_news

WIDTHS = (1440, 768, 390)
MANY = """\
-- Asks for twelve services one after the other, and then for one that is not there.
local render = app.integrations.render2.staging
local services = render.list_services({ limit = 12 }).services
for _, service in ipairs(services) do
  render.get_service({ service_id = service.id })
end
render.restart_service({ service_id = services[1].id })
render.get_service({ service_id = "srv-gone" })
"""
DELETES = """\
local render = app.integrations.render2
parallel.map(render.list_services({ limit = 3 }).services, function(service)
  return pcall(render.delete_service, { service_id = service.id })
end)
"""
FAULTS = """() => {
  const faults = [], root = document.documentElement;
  const box = (each) => each.getBoundingClientRect();
  const seen = (each) => each.checkVisibility({ visibilityProperty: true }) && box(each).width > 0;
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)].filter(seen);
  if (root.scrollWidth > root.clientWidth) faults.push(`${root.scrollWidth - root.clientWidth} px too wide`);
  if (all("h1").length !== 1) faults.push(`${all("h1").length} first headings`);
  for (const each of all("button, .button, .status, .count, .tag, .effect")) {
    if (each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline")
      faults.push(`cut: ${each.textContent.trim()}`);
  }
  for (const group of all(".deeds, .bar, .trial-head, .links, .examples ul, .scale")) {
    const boxes = [...group.children].filter(seen).map(box);
    boxes.forEach((one, place) => boxes.slice(place + 1).forEach((other) => {
      const across = one.right <= other.left + 1 || other.right <= one.left + 1;
      const along = one.bottom <= other.top + 1 || other.bottom <= one.top + 1;
      if (!across && !along) faults.push(`overlap in ${group.className || group.parentNode.className}`);
    }));
  }
  const numbers = all(".cm-lineNumbers .cm-gutterElement").filter((each) => box(each).height > 0);
  const lines = all(".cm-line");
  lines.forEach((line, place) => {
    const number = numbers[place];
    if (!number || Math.abs(box(line).top - box(number).top) > 2) faults.push(`gutter at line ${place + 1}`);
  });
  const head = all(".waterfall-head")[0];
  for (const row of head ? all(".waterfall summary.cells") : []) {
    [...row.children].forEach((cell, place) => {
      const column = box(head.children[place]).left;
      if (Math.abs(box(cell).left - column) > 1) faults.push(`column ${place} of ${row.innerText}`);
    });
  }
  for (const list of all(".source ol")) {
    const heights = new Set([...list.children].filter(seen).map((each) => Math.round(box(each).height)));
    if (heights.size > 1) faults.push(`lines of different heights: ${[...heights]}`);
  }
  const words = /\\b(undefined|NaN|None|\\[object Object\\])\\b/.exec(document.querySelector("main").innerText);
  if (words && !document.querySelector(".prose")) faults.push(`says ${words[0]}`);
  return faults;
}"""
"""Returns what is wrong with the layout of the page that is shown."""


@dataclass
class Site:
    """The served site: a window of a tenant with runs, one of a tenant without, and the ids of the runs by name."""

    pages: Pages
    windows: dict[str, Window]
    runs: dict[str, str] = field(default_factory=dict)

    def open(self, tenant: str, path: str) -> Page:
        """Open a page, in which a name in braces stands for the id of a run."""
        return self.windows[tenant].open(path.format(**self.runs))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("looks"), "acme", "empty") as pages, chromium() as browser:
        expect.set_options(timeout=TIMEOUT)
        site = Site(pages, {name: Window(browser, pages, name) for name in ("acme", "empty")})
        scripts = {"done": REPORT, "failed": MANY, "paused": RESTART, "destroys": DELETES, "mixed": DELETE}
        scripts |= {"many": CLEAN_UP, "broken": BROKEN, "again": BROKEN, "wrong": "local x = nil\nreturn x.y"}
        scripts |= {"long": 'for i = 1, 9000 do print("a line of a long output, number " .. i) end'}
        scripts |= {"wide": f"-- {'a_very_long_word_' * 20}\nreturn {{ {'x' * 30} = '{'y' * 4000}' }}"}
        named = {f"{name}.lua": source for name, source in scripts.items()}
        site.runs = dict(zip(scripts, pages.record_all("acme", named, "claude-code 2.1"), strict=True))
        hostile = 'print("<script>alert(1)</script>") error("<img src=x onerror=alert(1)>")'
        site.runs["attack"] = pages.record("acme", hostile, "<b>bold</b>.lua", client='"><script>alert(2)</script>')
        site.runs["fleet"] = pages.record_fleet("acme")
        tenant = pages.tenants.get("acme")
        assert tenant
        tenant.grants.add("render2.scale_service", "staging")
        plan = tenant.runtime.plan(CLEAN_UP + DELETE, name="clean_up.lua")
        tenant.runtime.plans.keep(plan)
        site.runs["plan"] = plan.id
        yield site
        assert [window.complaints for window in site.windows.values()] == [[], []]


def _click(selector: str, then: str) -> Callable[[Page], None]:
    """Return a step: click something, and wait for what appears then."""

    def step(page: Page) -> None:
        page.locator(selector).first.click()
        expect(page.locator(then).first).to_be_visible()

    return step


def _shows(selector: str) -> Callable[[Page], None]:
    """Return a step: wait until something is shown."""
    return lambda page: expect(page.locator(selector).first).to_be_visible()


def _typed(text: str, then: str) -> Callable[[Page], None]:
    def step(page: Page) -> None:
        page.get_by_label("Lua script").press("Control+End")
        page.keyboard.type(text)
        expect(page.locator(then).first).to_be_visible()

    return step


def _read(page: Page) -> None:
    """Wait until all recordings are read: until then the page loads itself again."""

    def is_read() -> bool:
        page.reload()
        return page.get_by_text("still being read").count() == 0

    assert eventually(is_read)
    expect(page.locator(".chart")).to_be_visible()


STATES: dict[str, tuple[str, str, Callable[[Page], None] | None]] = {
    "inbox, empty": ("empty", "/approvals", None),
    "inbox, several functions": ("acme", "/approvals", None),
    "inbox, items unfolded": ("acme", "/approvals", _click(".items > summary", ".items .arguments")),
    "one question": ("acme", "/a/{paused}-2", None),
    "one question that destroys": ("acme", "/runs/{destroys}", _shows(".count-field")),
    "runs, empty": ("empty", "/runs", _shows(".empty .command")),
    "runs": ("acme", "/runs", None),
    "runs, none fits": ("acme", "/runs?q=nothing-like-this", None),
    "runs, more filters": ("acme", "/runs", _click(".more > summary", "[name=since]")),
    "runs, grouped": ("acme", "/runs?group=script", _shows(".square")),
    "run, done": ("acme", "/runs/{done}", _shows(".output")),
    "run, failed": ("acme", "/runs/{failed}", _shows(".around .value")),
    "run, fix": ("acme", "/runs/{failed}#fix", _shows("#fixed")),
    "run, for the agent": ("acme", "/runs/{failed}", _click(".briefing summary", "#briefing")),
    "run, group unfolded": ("acme", "/runs/{failed}", _click(".waterfall li:nth-child(2) summary", ".members .given")),
    "run, call unfolded": ("acme", "/runs/{failed}", _click(".waterfall summary", ".inside pre.result")),
    "run, script error": ("acme", "/runs/{wrong}", None),
    "run, paused": ("acme", "/runs/{paused}", _shows("form.approval")),
    "run, two kinds wait": ("acme", "/runs/{mixed}", _shows("form.approval")),
    "run, long output": ("acme", "/runs/{long}", _shows(".output")),
    "run, long words": ("acme", "/runs/{wide}", _shows(".result")),
    "run, hostile": ("acme", "/runs/{attack}", _shows(".outcome")),
    "call": ("acme", "/runs/{failed}/calls/1", None),
    "call, failed": ("acme", "/runs/{broken}/calls/2", _shows(".error")),
    "compared": ("acme", "/runs/compare?run={failed}&run={done}", None),
    "compared, alike": ("acme", "/runs/compare?run={broken}&run={again}", None),
    "fleets, empty": ("empty", "/fleets", None),
    "fleets": ("acme", "/fleets", _shows("table")),
    "fleet": ("acme", "/fleets/{fleet}", _shows(".square.missing")),
    "plans, empty": ("empty", "/plans", None),
    "plans": ("acme", "/plans", _shows("table")),
    "plan": ("acme", "/plans/{plan}", _shows(".call.destroy .leave")),
    "playground": ("acme", "/playground?example=report", _shows(".bill")),
    "playground, mistakes": ("acme", "/playground?source=x+%3D+nill()%0A%0Aprint(x)%0Ay+z", _shows(".found .error")),
    "playground, completion": (
        "acme",
        "/playground?source=local+r+%3D+app.integrations.render2%0A",
        _typed("r.list", ".cm-tooltip-autocomplete li"),
    ),
    "playground, asks": ("acme", "/playground?example=restart", _click("[value=run]", "#result form.approval")),
    "playground, failed": ("acme", "/playground?example=failing", _click("[value=run]", "#result .error")),
    "playground, result": ("acme", "/playground/runs/{broken}", _shows(".trial")),
    "playground, plan": ("acme", "/playground?example=plan", _click("[value=plan]", "#result .output")),
    "docs": ("acme", "/docs", None),
    "docs, guide": ("acme", "/docs/overview", None),
    "docs, integration": ("acme", "/docs/integrations.render2", None),
    "docs, function": ("acme", "/docs/integrations.render2.list_services", None),
    "docs, search": ("acme", "/docs?q=create+issue+label", _shows(".hits li")),
    "docs, no hit": ("acme", "/docs?q=xyzzyx", None),
    "accounts": ("acme", "/accounts", None),
    "catalogue": ("acme", "/catalogue", _shows(".tile")),
    "permissions": ("acme", "/catalogue/render2", _click(".matrix summary", ".matrix .names")),
    "insights": ("acme", "/insights?days=1", _read),
    "insights, empty": ("empty", "/insights", None),
    "schedules, empty": ("empty", "/schedules", None),
    "nowhere": ("empty", "/schedules/none/here", None),
}
"""States of pages: whose, at which path, and what is done there first."""
KINDS = (
    *("inbox, several functions", "runs", "runs, grouped", "run, failed", "run, hostile", "run, fix", "call, failed"),
    *("compared", "fleets", "fleet", "plan", "schedules, empty", "playground, mistakes", "playground, result"),
    *("accounts", "catalogue", "permissions", "insights", "docs, function", "docs, search"),
)
"""One state of every kind of page, of which axe looks at all elements."""
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (apt-get install chromium)"),
]


@pytest.mark.parametrize("state", STATES)
def test_a_state_has_no_broken_line(site: Site, state: str) -> None:
    """Nothing is too wide, cut, over something else, or a barrier; lines, numbers and columns are where they belong."""
    tenant, path, step = STATES[state]
    page = site.open(tenant, path)
    if step:
        step(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(FAULTS) == [], f"{state} at {width} px"
    if state in KINDS:
        assert _barriers(page) == []
    site.windows[tenant].complaints[:] = [each for each in site.windows[tenant].complaints if "404" not in each]


def _barriers(page: Page) -> list[str]:
    """Return what axe finds on a wide page, in light and, of colours, in dark."""
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    found = AXE.run(page).response["violations"]
    page.emulate_media(color_scheme="dark")
    found += AXE.run(page, options=COLOURS).response["violations"]
    page.emulate_media(color_scheme="light")
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("path", ["/approvals", "/runs", "/runs/{done}"])
def test_what_is_told_later_moves_nothing(site: Site, path: str) -> None:
    """The first news leave every named part of the page where it was, and the focus where a person put it."""
    page = site.windows["acme"].page
    page.set_viewport_size({"width": 1440, "height": 900})
    where = (
        "() => [...document.querySelectorAll('#live [id]')].map((each) => [each.id, each.offsetTop, each.offsetLeft])"
    )
    with page.expect_response(is_news):
        site.open("acme", path)
        before = page.evaluate(where)
        link = page.locator("#live a, #live summary").first
        link.focus()
    expect(link).to_be_focused()
    assert page.evaluate(where) == before


def test_an_unfolded_call_stays_unfolded(site: Site) -> None:
    """News about the run leave what a person reads as it is."""
    page = site.open("acme", "/runs/{failed}")
    page.locator(".waterfall summary").first.click()
    inside = page.locator(".inside pre.result").first
    expect(inside).to_contain_text("checkout-api-staging")
    answer = page.evaluate("fetch(location.href, { headers: { 'X-Part': 'live' } }).then((each) => each.text())")
    page.evaluate("(html) => globalThis.kosmolua.show(document.getElementById('live'), html)", answer)
    expect(inside).to_contain_text("checkout-api-staging")
    expect(page.locator(".waterfall details").first).to_have_attribute("open", "")
