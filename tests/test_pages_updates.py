"""What an update of an open page changes, and what it leaves to the person who uses the page, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from support.page import DELETE, RESTART, SCALE, Pages, Person, served
from support.processes import eventually
from test_pages_browser import CHROMIUM, Window, chromium, opened

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (apt-get install chromium)"),
]
FIRST, SECOND = (f'<tr id="r{each}"><td><a href="#{each}">{each}</a></td></tr>' for each in (1, 2))
ROWS = f"<table><tbody>{FIRST}{{}}{SECOND}</table>"
BOX = '<div id="a"><input type="checkbox" checked><select><option>1</option><option>2</option></select></div>'
CASES = {
    "a field in the middle of typing": (
        '<p>one</p><label>Name <input value="a"></label>',
        "find('input').focus(); find('input').value = 'abc'; find('input').setSelectionRange(1, 2)",
        '<p>two</p><label>Name <input value="b"></label>',
        "[find('p').textContent, find('input').value, find('input').selectionStart, is('input')]",
        ["two", "abc", 1, True],
    ),
    "a text that was typed before": (
        "<textarea>a</textarea><input>",
        "find('textarea').value = 'typed'; find('input').focus()",
        "<textarea>a</textarea><input><p>new</p>",
        "[find('textarea').value, is('input')]",
        ["typed", True],
    ),
    "a box and a choice": (
        BOX,
        "find('input').checked = false; find('select').value = '2'",
        f"<p>new</p>{BOX}",
        "[find('input').checked, find('select').value]",
        [False, "2"],
    ),
    "what is unfolded": (
        "<details><summary>1</summary><p>old</p></details>",
        "find('details').open = true; find('summary').focus()",
        "<details><summary>2</summary><p>new</p></details>",
        "[find('details').open, find('details').textContent, is('summary')]",
        [True, "2new", True],
    ),
    "a row that others come around": (
        ROWS.format(""),
        "find('#r2 a').focus()",
        ROWS.format('<tr id="r3"><td>3</td></tr>').replace("<tbody>", '<tbody><tr id="r0"><td>0</td></tr>'),
        "[is('#r2 a'), root.textContent]",
        [True, "0132"],
    ),
    "a row when another goes": (
        ROWS.format('<tr id="r3"><td>3</td></tr>'),
        "find('#r2 a').focus()",
        f"<table><tbody>{SECOND}</table>",
        "[is('#r2 a'), root.textContent]",
        [True, "2"],
    ),
    "a row that changes its place": (
        ROWS.format('<tr id="r3"><td>3</td></tr>'),
        "find('#r2 a').focus()",
        f"<table><tbody>{SECOND}{FIRST}</table>",
        "[is('#r2 a'), root.textContent]",
        [True, "21"],
    ),
    "how far a box is scrolled": (
        '<div style="height: 4em; overflow: auto"><p>1</p>' + "<p>line</p>" * 50 + "</div>",
        "find('div').scrollTop = 200",
        '<div style="height: 4em; overflow: auto"><p>2</p>' + "<p>line</p>" * 50 + "<p>more</p></div>",
        "find('div').scrollTop",
        200,
    ),
    "a selected text": (
        "<p>before</p><p class='it'>selected</p>",
        "getSelection().selectAllChildren(find('.it'))",
        "<p>changed</p><p class='it'>selected</p><p>after</p>",
        "getSelection().toString()",
        "selected",
    ),
    "the part of a call that was loaded": (
        '<ol><li id="m1"><div data-inside="/1">link</div></li></ol>',
        "find('div').innerHTML = 'loaded'; find('div').dataset.filled = 'yes'",
        '<ol><li id="m0"><div data-inside="/0">link</div></li><li id="m1"><div data-inside="/1">link</div></li></ol>',
        "[find('#m0').textContent, find('#m1').textContent]",
        ["link", "loaded"],
    ),
}
"""What a person uses: the HTML before, what the person does, the HTML after, and what is asked for then."""
UPDATE = """([before, act, after, ask]) => {
  const root = document.getElementById("main");
  const find = (selector) => root.querySelector(selector), is = (selector) => document.activeElement === find(selector);
  kosmolua.show(root, before);
  eval(act);
  kosmolua.show(root, after);
  return eval(ask);
}"""
RANDOM = """() => {
  let state = 1;
  const below = (limit) => (state = (state * 48271) % 2147483647) % limit;
  const one = (...all) => all[below(all.length)];
  const tree = (depth, ids) => Array.from({ length: below(5) }, () => {
    if (!depth || !below(4)) return one("text", " ", "<br>", "<!-- note -->");
    const tag = one("p", "div", "section", "ul"), id = below(3) && ids.splice(below(ids.length), 1)[0];
    const inside = tag === "p" ? "x" : tree(depth - 1, ids);
    return `<${tag}${id ? ` id="n${id}"` : ""}${below(2) ? ` class="${one("a", "b")}"` : ""}>${inside}</${tag}>`;
  }).join("");
  const root = document.getElementById("main"), faults = [];
  for (let round = 0; round < 2000; round++) {
    const before = root.innerHTML, after = tree(3, [1, 2, 3, 4, 5, 6, 7, 8]);
    kosmolua.show(root, after);
    const wanted = document.createElement("main");
    wanted.innerHTML = after;
    if (root.innerHTML !== wanted.innerHTML) faults.push([before, after, root.innerHTML]);
  }
  return faults.slice(0, 1);
}"""
"""Shows random trees one after the other, and returns one that became another than it should."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with served(tmp_path_factory.mktemp("updates"), "acme", "many", "group", "counted") as pages:
        yield pages


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def blank(browser: Browser, pages: Pages) -> Iterator[Page]:
    """A page on whose content tests put their own, without the policy that forbids their code."""
    window = Window(browser, pages, "acme", bypass_csp=True)
    yield window.open("/accounts")
    window.context.close()


@pytest.mark.parametrize("case", CASES)
def test_an_update_leaves_what_a_person_uses(blank: Page, case: str) -> None:
    """Focus, selection, typed text, ticks, unfolded details and scroll positions outlive what changes around them."""
    before, act, after, ask, wanted = CASES[case]
    assert blank.evaluate(UPDATE, [before, act, after, ask]) == wanted


def test_an_update_makes_any_tree_of_any_other(blank: Page) -> None:
    """Whatever a page shows, it has the elements, attributes and texts of the answer afterwards, in their order."""
    assert blank.evaluate(RANDOM) == []


@contextmanager
def stopped_by_another(browser: Browser, pages: Pages, run: str) -> Iterator[Page]:
    """Open the page of a run that goes on, with the focus on the button that stops it; then somebody else stops it."""
    with opened(browser, pages, "acme") as window:
        pages.start("acme", "while true do end", run=run)
        person = Person(pages.url, "acme")
        assert eventually(lambda: ">Stop</button>" in person.open(f"/runs/{run}").text)
        page = window.open(f"/runs/{run}")
        page.get_by_role("button", name="Stop").focus()
        person.send(f"/runs/{run}/stop")
        yield page


def test_a_run_that_ends_early_while_it_is_looked_at_can_be_mended(browser: Browser, pages: Pages) -> None:
    """What leads to its mending and to its briefing appears with its end, and leads somewhere."""
    with stopped_by_another(browser, pages, "0123456789ab") as page:
        page.get_by_role("link", name="Fix and continue").click()
        expect(page.locator("#fixed")).to_be_visible()
        page.get_by_role("heading", name="For the agent").click()
        expect(page.locator("#briefing")).to_contain_text("What failed")


def test_a_button_does_not_become_another(browser: Browser, pages: Pages) -> None:
    """Who is about to stop a run resumes none: once it has ended, that button is gone, and has no focus any more."""
    with stopped_by_another(browser, pages, "0123456789ac") as page:
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        expect(page.get_by_role("button", name="Stop")).to_have_count(0)
        assert page.evaluate("document.activeElement.tagName") == "BODY"


def test_a_stream_that_was_refused_is_asked_for_again(browser: Browser, pages: Pages) -> None:
    """A proxy answers 502 while a server starts again; the page goes on afterwards by itself."""
    with opened(browser, pages, "acme") as window:
        answers = [502]

        def refuse(route: Route) -> None:
            route.fulfill(status=answers.pop()) if answers else route.continue_()

        window.page.route("**/events", refuse)
        page = window.open("/approvals")
        page.evaluate("document.querySelector('#live').dataset.marked = 'yes'")
        pages.record("acme", RESTART, "after_the_restart.lua")
        expect(page.get_by_role("link", name="after_the_restart.lua")).to_be_visible()
        expect(page.locator("#live")).to_have_attribute("data-marked", "yes")
        window.complaints[:] = [each for each in window.complaints if "502" not in each]


def test_a_late_answer_does_not_take_the_place_of_a_later_one(browser: Browser, pages: Pages) -> None:
    """While a person types, the list and the address are those of what stands in the field."""
    with opened(browser, pages, "acme") as window:
        for name in ("alpha.lua", "alpine.lua"):
            pages.record("acme", "return 1", name)
        page = window.open("/runs")
        held: list[Route] = []
        page.route("**/runs?q=alp", lambda route: held.append(route))
        field = page.get_by_role("searchbox")
        with page.expect_request("**/runs?q=alp"):
            field.press_sequentially("alp")
        field.press_sequentially("ine")
        expect(page.locator("tbody tr")).to_have_count(1)
        held[0].continue_()
        field.press("End")
        for _ in "ine":
            field.press("Backspace")
        page.unroute("**/runs?q=alp")
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page).to_have_url(f"{pages.url}/runs?q=alp")


def test_buttons_count_what_is_ticked(browser: Browser, pages: Pages) -> None:
    """Of several calls, those that are not ticked are neither approved nor counted, also after news."""
    with opened(browser, pages, "many") as window:
        pages.record_all("many", dict.fromkeys(("one.lua", "two.lua", "three.lua"), RESTART))
        page = window.open("/approvals")
        page.locator('[name="call"]').first.uncheck()
        expect(page.get_by_role("button", name="Approve 2")).to_be_visible()
        page.locator('[name="call"]').nth(1).evaluate("""(box) => {
            box.checked = false; // as a browser does that shows a page again
            dispatchEvent(new PageTransitionEvent("pageshow"));
        }""")
        expect(page.get_by_role("button", name="Approve 1")).to_be_visible()
        page.locator('[name="call"]').nth(1).check()
        pages.record("many", RESTART, "four.lua")
        expect(page.get_by_role("button", name="Approve 3")).to_be_visible()
        for each in page.locator('[name="call"]').all():
            each.uncheck()
        expect(page.get_by_role("button", name="Approve")).to_be_disabled()


def test_what_was_typed_for_a_group_outlives_its_first_call(browser: Browser, pages: Pages) -> None:
    """Somebody else answers the call that waits longest; the form of the others stays as it is."""
    with opened(browser, pages, "group") as window:
        first, *_ = (pages.record("group", DELETE, f"{name}.lua") for name in ("one", "two", "three"))
        page = window.open("/approvals")
        field = page.get_by_role("textbox", name="to destroy")
        field.fill("2")
        Person(pages.url, "group").send("/approvals", decision="deny", call=f"{first}-2")
        expect(page.get_by_role("button", name="Approve 2 and destroy")).to_be_visible()
        expect(field).to_have_value("2")
        expect(field).to_be_focused()


def test_how_long_ago_something_was_is_counted_on(browser: Browser, pages: Pages) -> None:
    """A page that stays open while nothing happens does not say that something was just now."""
    with opened(browser, pages, "acme") as window:
        pages.record("acme", "return 1", "long_ago.lua")
        window.page.clock.install()
        with window.page.expect_request(lambda request: "x-part" in request.headers):  # the server has said the time
            started = window.open("/runs?q=long_ago").locator("td.started time")
        expect(started).to_have_text("just now")
        window.page.clock.fast_forward("05:10")
        expect(started).to_have_text("5 min ago")
        window.page.clock.fast_forward("02:00:00")
        expect(started).to_have_text("2 h ago")


def test_how_long_ago_something_was_is_counted_by_the_clock_of_the_server(browser: Browser, pages: Pages) -> None:
    """A reader whose clock is days ahead is not told that what has just happened was days ago."""
    with opened(browser, pages, "acme") as window:
        pages.record("acme", "return 1", "other_clock.lua")
        window.page.clock.install(time=datetime.now() + timedelta(days=2))
        with window.page.expect_request(lambda request: "x-part" in request.headers):  # the server has said the time
            started = window.open("/runs?q=other_clock").locator("td.started time")
        window.page.clock.run_for("01:30")
        expect(started).to_have_text(re.compile(r"just now|\d min ago"))  # later news say again what time it is


def test_a_form_is_sent_once(browser: Browser, pages: Pages) -> None:
    """Two clicks on a button send one request, also if the page has changed in between."""
    with opened(browser, pages, "acme") as window:
        run = pages.record("acme", SCALE, "scale_up.lua")
        page = window.open(f"/runs/{run}")
        again = page.evaluate("""async () => {
            const form = document.getElementById("undo");
            const isSent = () => {
                const event = new SubmitEvent("submit", { bubbles: true, cancelable: true });
                return form.dispatchEvent(event);
            };
            const before = isSent();
            kosmolua.show(document.getElementById("live"), document.getElementById("live").innerHTML);
            return [before, isSent()];
        }""")
        assert again == [True, False]


def test_a_plan_that_somebody_else_decides_about_has_no_buttons_any_more(browser: Browser, pages: Pages) -> None:
    """Who looks at a plan sees that it was applied, or that it is gone."""
    with opened(browser, pages, "acme") as window:
        tenant = pages.tenants.get("acme")
        assert tenant
        first, second = (tenant.runtime.plan(SCALE, name=f"{name}.lua") for name in ("one", "two"))
        tenant.runtime.plans.keep(first)
        tenant.runtime.plans.keep(second)
        person = Person(pages.url, "acme")
        page = window.open(f"/plans/{first.id}")
        expect(page.get_by_role("button", name="Apply")).to_be_visible()
        person.send(f"/plans/{first.id}", decision="apply")
        expect(page.locator(".status").first).to_have_text("applied")
        expect(page.get_by_role("button", name="Apply")).to_have_count(0)

        page = window.open(f"/plans/{second.id}")
        expect(page.get_by_role("button", name="Apply")).to_be_visible()
        person.send(f"/plans/{second.id}", decision="deny")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        window.complaints[:] = [each for each in window.complaints if "404" not in each]


def test_lists_of_plans_and_insights_update_by_themselves(browser: Browser, pages: Pages) -> None:
    """What was planned or called since a page was opened appears on it."""
    with opened(browser, pages, "counted") as window:
        tenant = pages.tenants.get("counted")
        assert tenant
        page = window.open("/plans")
        expect(page.get_by_text("No plans yet.")).to_be_visible()
        tenant.runtime.plans.keep(tenant.runtime.plan(SCALE, name="later.lua"))
        expect(page.get_by_role("link", name="later.lua")).to_be_visible()

        page = window.open("/insights")
        expect(page.get_by_text("No calls in this period.")).to_be_visible()
        pages.record("counted", RESTART)
        expect(page.get_by_role("rowheader", name="render2.list_services")).to_be_visible()


def test_pages_of_schedules_update_by_themselves(browser: Browser, tmp_path: Path) -> None:
    """A person pauses a schedule, and another who looks at it, or at the list, sees so."""
    (tmp_path / "yearly.lua").write_text("return 1")
    schedule = f'[schedules.yearly]\nscript = "{tmp_path / "yearly.lua"}"\ncron = "0 0 1 1 *"\n'
    with served(tmp_path, "timed", accounts=schedule) as pages, opened(browser, pages, "timed") as window:
        page, person = window.open("/schedules"), Person(pages.url, "timed")
        expect(page.locator("tbody time")).to_be_visible()
        person.send("/schedules/schedule/yearly", decision="pause")
        expect(page.locator("tbody .status")).to_have_text("paused")
        page = window.open("/schedules/schedule/yearly")
        expect(page.get_by_role("button", name="Continue")).to_be_visible()
        person.send("/schedules/schedule/yearly", decision="end")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        person.send("/schedules/schedule/yearly", decision="run")
        expect(page.locator("tbody")).to_contain_text("by hand")


def test_news_that_could_not_be_fetched_are_fetched_later(browser: Browser, pages: Pages) -> None:
    """A page that is told of news while the server cannot answer shows them once it can, though no others come."""
    with opened(browser, pages, "acme") as window:
        page = window.open("/runs?q=unheard")
        expect(page.get_by_text("No runs match.")).to_be_visible()
        page.wait_for_load_state("networkidle")
        failed: list[str] = []

        def fail(route: Route) -> None:
            if failed:
                route.continue_()
            else:
                failed.append(route.request.url)
                route.fulfill(status=503)

        page.route("**/runs?q=unheard", fail)
        pages.record("acme", "return 1", "unheard.lua")
        expect(page.get_by_role("link", name="unheard.lua")).to_be_visible()
        assert failed
        window.complaints[:] = [each for each in window.complaints if "503" not in each]


def test_a_page_that_is_still_read_is_asked_for_by_one_timer(browser: Browser, pages: Pages) -> None:
    """However often there are news meanwhile. The timer does not run out in this test."""
    with opened(browser, pages, "acme") as window:
        page, told = window.page, 0
        page.add_init_script("""{
            globalThis.timers = new Set();
            globalThis.looks = 0;
            const { setTimeout, clearTimeout, fetch } = window;
            window.setTimeout = (work, wait) => {
                const timer = setTimeout(wait === 1000 ? () => {} : work, wait);
                if (wait === 1000) timers.add(timer);
                return timer;
            };
            window.clearTimeout = (timer) => clearTimeout(timer) ?? timers.delete(timer);
            window.fetch = (...given) => fetch(...given).finally(() => looks++);
        }""")

        def tell(route: Route) -> None:
            nonlocal told
            told += 1
            news = f'retry: 10\nevent: news\ndata: {{"waiting": 0, "now": 0, "state": "{told}"}}\n\n'
            route.fulfill(body=news, content_type="text/event-stream")

        def unread(route: Route) -> None:
            if "x-part" in route.request.headers:
                route.fulfill(body="<p data-unread>1 older run is still being read.</p>")
            else:
                route.continue_()

        page.route("**/events?**", tell)
        page.route("**/insights", unread)
        window.open("/insights")
        eventually(lambda: page.evaluate("looks >= 4 && timers.size > 0"))
        assert page.evaluate("timers.size") == 1
        page.unroute_all(behavior="ignoreErrors")


def test_what_is_no_longer_followed_is_not_asked_about_later(browser: Browser, pages: Pages) -> None:
    """Also if it ends while a look is under way that another request ends."""
    with opened(browser, pages, "acme") as window:
        page = window.open("/plans")
        page.evaluate("""() => {
            globalThis.streams = [];
            const { EventSource } = window;
            window.EventSource = class extends EventSource {
                constructor(address) {
                    super(address);
                    streams.push(this);
                }
            };
            globalThis.looking = new Promise((began) => {
                const look = () => new Promise((ends) => began(() => ends(0)));
                globalThis.end = kosmolua.follow("events?section=plans", look);
            });
        }""")
        page.clock.install()
        page.evaluate("looking.then((ends) => { end(); ends(); })")
        page.clock.fast_forward(600_000)
        assert page.evaluate("streams.map((each) => each.readyState)") == [2]
