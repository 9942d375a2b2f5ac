"""The page for people in a real browser: what a person sees and does there, by mouse, keyboard and screen reader."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Response, Route, expect, sync_playwright
from support.page import BROKEN, DELETE, REPORT, RESTART, Pages, Person, served, token_of
from support.processes import eventually

from kosmolua.serve.pages import rendering

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
AXE = Axe()
ALONE = ("first", "keys", "phone", "many", "news", "idle", "plain")
"""Tenants with whom one test is alone."""
TIMEOUT = 60_000
"""Milliseconds that the browser waits for what has to appear."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with served(tmp_path_factory.mktemp("pages"), "acme", *ALONE) as pages:
        yield pages


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield the browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS, timeout=3 * TIMEOUT)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Window:
    """A window of a browser.

    Args:
        browser: The browser.
        pages: The page.
        tenant: For which tenant a person is signed in; with none, the window shows the form to sign in.
        options: As a context of playwright takes them.

    ``complaints`` has what the browser wrote to its console, violations of the policy included.
    """

    def __init__(self, browser: Browser, pages: Pages, tenant: str = "", **options: object) -> None:
        given = {"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce", **options}
        self.context = browser.new_context(**given)
        self.context.set_default_timeout(TIMEOUT)
        expect.set_options(timeout=TIMEOUT)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        self._base = pages.url
        if tenant:
            known = Person(pages.url, tenant).browser.cookies
            self.context.add_cookies([{"name": each.name, "value": each.value, "url": pages.url} for each in known])
        else:
            self.open("/login")

    def open(self, path: str) -> Page:
        """Open a page."""
        self.page.goto(self._base + path)
        return self.page

    def sign_in(self, token: str = token_of("acme")) -> None:
        """Sign in by the form."""
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


@contextmanager
def opened(browser: Browser, pages: Pages, tenant: str, **options: object) -> Iterator[Window]:
    """Open a window for a person of a tenant, which has nothing to complain about in the end."""
    window = Window(browser, pages, tenant, **options)
    yield window
    window.context.close()
    assert window.complaints == []


@pytest.fixture(scope="module")
def shared(browser: Browser, pages: Pages) -> Iterator[Window]:
    with opened(browser, pages, "acme") as window:
        yield window


@pytest.fixture
def window(shared: Window) -> Iterator[Window]:
    """The window of a person of acme. All tests use the same, each without a complaint."""
    yield shared
    complaints, shared.complaints = shared.complaints, []
    assert complaints == []


def item(page: Page, title: str) -> Locator:
    """Return what the inbox shows of a call of a run."""
    return page.locator(".item").filter(has=page.get_by_role("link", name=title))


def is_news(answer: Response) -> bool:
    """Return True for the block that an open page asks for when it is told of something new, as it is at first."""
    return answer.request.headers.get("x-part") == "live"


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_a_paused_write_is_approved(browser: Browser, pages: Pages) -> None:
    """A person reads what waits, with the name behind the id, approves it, stays, and sees the run end."""
    with opened(browser, pages, "first") as window:
        run = pages.record("first", RESTART, "restart_one.lua")
        page = window.open("/approvals")
        asked = item(page, "restart_one.lua")
        expect(asked).to_contain_text("checkout-api-prod")
        form = page.locator("form.approval").filter(has=asked)
        expect(form).to_contain_text("render2.restart_service")
        expect(form).to_contain_text("Restart the instances of a service")
        form.get_by_role("button", name="Approve").click()

        expect(page.get_by_role("status")).to_contain_text("Approved 1 call.")
        page.get_by_role("link", name="See the run").click()
        page.wait_for_url(f"**/runs/{run}")
        expect(page.locator(".status").first).to_have_text("done")
        expect(page.locator(".output")).to_contain_text("restarted\tcheckout-api-prod")


def test_a_paused_write_is_denied(pages: Pages, window: Window) -> None:
    """What a person denies ends as an error of the call, at its line of the script."""
    page = window.open(f"/runs/{pages.record('acme', RESTART, 'restart_two.lua')}")
    page.get_by_role("button", name="Deny").click()

    expect(page.locator(".error").first).to_contain_text("was not approved")
    expect(page.locator("#wrong")).to_contain_text("render.restart_service")


def test_what_destroys_is_apart_and_red(pages: Pages, window: Window) -> None:
    """It has a form of its own, is never allowed for good, and several are approved by their number."""
    run = pages.record("acme", DELETE, "tidy_up.lua")
    page = window.open(f"/runs/{run}")
    destroys = page.locator("form").filter(has=page.locator(".call.destroy"))
    expect(destroys).to_contain_text("This cannot be undone")
    expect(destroys.get_by_role("checkbox")).to_have_count(0)
    red = destroys.get_by_role("button", name="Approve and destroy")
    assert red.evaluate("each => getComputedStyle(each).backgroundColor") == "rgb(194, 47, 54)"
    destroys.get_by_role("button", name="Deny").click()
    page.get_by_role("button", name="Approve").click()

    expect(page.locator(".status").first).to_have_text("done")
    rows = page.locator(".waterfall > li")
    expect(rows.filter(has_text="delete_service")).to_contain_text("refused")
    expect(rows.filter(has_text="set_env_var")).to_contain_text("ok")


def test_a_keyboard_is_enough(browser: Browser, pages: Pages) -> None:
    """The first key leads past the navigation, j and k through the questions, and a letter answers."""
    with opened(browser, pages, "keys") as window:
        pages.record("keys", RESTART, "restart.lua")
        pages.record("keys", DELETE, "delete.lua")
        page = window.open("/approvals")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Skip to the content")
        page.keyboard.press("j")
        expect(page.locator(":focus")).to_have_text("render2.restart_service")
        page.keyboard.press("j")
        expect(page.locator(":focus")).to_have_text("render2.delete_service")
        page.keyboard.press("k")
        page.keyboard.press("a")
        expect(page.get_by_role("status")).to_contain_text("Approved 1 call.")
        expect(page.locator("form.approval")).to_have_count(2)


PHONE = {"width": 390, "height": 844}


def test_one_question_fits_a_phone(browser: Browser, pages: Pages) -> None:
    """From a link to an approved call: nothing to scroll, and buttons for thumbs."""
    with opened(browser, pages, "phone", viewport=PHONE) as window:
        run = pages.record("phone", RESTART, "restart.lua")
        page = window.open(f"/a/{run}-2")
        for name in ("Deny", "Approve"):
            box = page.get_by_role("button", name=name).bounding_box()
            assert box
            assert box["height"] >= 52
            assert box["y"] + box["height"] <= PHONE["height"]
        assert overflow(page) <= 0
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("status")).to_contain_text("Approved 1 call.")


@pytest.mark.parametrize("width", [320, 390])
def test_a_run_has_its_status_beside_its_title_on_a_phone(browser: Browser, pages: Pages, width: int) -> None:
    """In the list of runs, also of one that failed, whose reason is no title."""
    pages.record("acme", BROKEN, "broken.lua")
    with opened(browser, pages, "acme", viewport={"width": width, "height": 844}) as window:
        row = window.open("/runs?status=failed").locator("table.runs tbody tr").first
        title, status = (row.locator(f"td >> nth={place}").bounding_box() for place in (1, 0))
        assert title
        assert status
        assert abs(title["y"] - status["y"]) < 10
        assert title["x"] + title["width"] <= status["x"]
        expect(row.locator(".why")).to_have_css("font-weight", "400")


def test_a_button_that_copies_keeps_its_name(window: Window) -> None:
    """Two clicks soon after each other leave no word about the first on the button."""
    window.page.clock.install()
    link = window.open("/playground").locator("[data-link]")
    link.click()
    expect(link).not_to_have_text("Copy link")
    link.click()
    window.page.clock.run_for(3_000)
    expect(link).to_have_text("Copy link")


def test_many_calls_of_few_functions_fit_one_screen(browser: Browser, pages: Pages) -> None:
    """34 runs with three functions need no scrolling on a laptop, and tabs say that they wait."""
    with opened(browser, pages, "many", viewport={"width": 1440, "height": 900}) as window:
        scale = 'app.integrations.render2.scale_service({ service_id = "srv-cabc12345678", num_instances = 3 })'
        delete = 'app.integrations.render2.delete_service("srv-cabc12345678")'
        scripts = [RESTART] * 26 + [scale] * 5 + [delete] * 3
        pages.record_all("many", {f"{number}.lua": script for number, script in enumerate(scripts)})
        page = window.open("/approvals")
        expect(page.locator("form.approval")).to_have_count(3)
        assert page.evaluate("document.documentElement.scrollHeight") <= 900
        expect(page).to_have_title(re.compile(r"\(34\) Inbox"))
        assert overflow(page) <= 0


def test_what_changes_elsewhere_leaves_focus_selection_and_details(browser: Browser, pages: Pages) -> None:
    """A new question appears by itself, and nothing that a person uses is taken away or moved."""
    with opened(browser, pages, "news") as window:
        pages.record("news", RESTART, "first.lua")
        page = window.open("/approvals")
        field = item(page, "first.lua").locator("dd code").first
        field.evaluate("each => getSelection().selectAllChildren(each)")
        page.get_by_role("button", name="Deny").focus()
        before = page.get_by_role("button", name="Deny").bounding_box()
        pages.record("news", DELETE, "second.lua")
        expect(page.locator("form.approval")).to_have_count(3)
        expect(page.get_by_role("button", name="Deny").first).to_be_focused()
        assert page.evaluate("getSelection().toString()").startswith('"srv-')
        assert page.get_by_role("button", name="Deny").first.bounding_box() == before
        expect(page).to_have_title(re.compile(r"\(3\) Inbox"))
        with page.expect_response(is_news):
            window.open("/runs")
        page.get_by_role("link", name="first.lua").focus()
        expect(page.get_by_role("link", name="first.lua")).to_be_focused()
        pages.record("news", BROKEN, "third.lua")
        expect(page.locator("tbody tr")).to_have_count(3)
        expect(page.get_by_role("link", name="first.lua")).to_be_focused()


def test_what_is_shown_again_stays_in_place(pages: Pages, window: Window) -> None:
    """An update replaces nothing that only space comes before, and moves nothing named when a notice before it goes."""
    page = window.open(f"/runs/{pages.record('acme', RESTART, 'again.lua')}")
    lost = page.evaluate("""async () => {
        const live = document.getElementById("live");
        const answer = await fetch(location.href, { headers: { "X-Part": "live" }, cache: "no-store" });
        const html = (await answer.text()).trim();
        const lost = [];
        for (const [before, after] of [["\\n", ""], ["", "\\n"], ["<p>", ""]]) {
            kosmolua.show(live, before + html);
            const there = [...live.querySelectorAll(before === "<p>" ? "section[id] *" : "*")];
            getSelection().selectAllChildren(live.querySelector("section[id] dd code"));
            const selected = getSelection().toString();
            kosmolua.show(live, after + html);
            if (!selected || getSelection().toString() !== selected) lost.push("selection");
            lost.push(...there.filter((each) => !each.isConnected).map((each) => each.outerHTML));
        }
        return lost;
    }""")
    assert lost == []


def test_an_idle_tab_is_silent(browser: Browser, pages: Pages) -> None:
    """While nothing happens, it asks for nothing after it has been told of what happened before."""
    with opened(browser, pages, "idle") as window:
        pages.record("idle", RESTART, "first.lua")
        asked: list[str] = []
        window.page.on("request", lambda request: asked.append(request.url))
        page = window.open("/approvals")

        def is_silent() -> bool:
            before = len(asked)
            page.wait_for_timeout(2_500)
            return len(asked) == before

        assert eventually(is_silent)


def test_calls_are_a_waterfall(pages: Pages, window: Window) -> None:
    """Bars begin where the calls began, and a call unfolds to its arguments."""
    page = window.open(f"/runs/{pages.record('acme', REPORT, 'report.lua')}")
    bars = [bar.bounding_box() for bar in page.locator(".waterfall .bar").all()]
    assert len(bars) >= 3
    assert bars[0]["width"] > 1
    assert bars[0]["x"] + bars[0]["width"] <= bars[1]["x"] + 1
    assert bars[-1]["x"] > bars[-2]["x"]
    page.get_by_text("render2.list_deploys").first.click()
    page.locator(".members summary").first.click()
    inside = page.locator(".members .inside").first
    expect(inside).to_contain_text("service_id")
    expect(inside).to_contain_text("GET https://api.render.com/v1/services/")


def test_runs_appear_by_themselves(pages: Pages, window: Window) -> None:
    """The list shows a run that began after it was opened, and filters while a person types."""
    page = window.open("/runs")
    pages.record("acme", REPORT, "late_arrival.lua")
    expect(page.locator("tbody")).to_contain_text("late_arrival.lua")
    page.get_by_role("searchbox").press_sequentially("late_arr")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/runs\?q=late_arr$"))


def test_docs_are_searched_while_typing(window: Window) -> None:
    """A slash leads to the search, whose results come without a click, and lead to a page."""
    page = window.open("/docs")
    page.keyboard.press("/")
    page.keyboard.type("restart a service")
    page.get_by_role("link", name="integrations.render2.restart_service").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("app.integrations.render2.restart_service")
    expect(page.locator(".prose .hl-kd, .prose .hl-nf").first).to_be_visible()


def write(page: Page, text: str) -> Locator:
    """Let a text take the place of what is in the editor, and return the editor."""
    editor = page.get_by_label("Lua script")
    editor.press("Control+a")
    editor.press("Delete")
    page.keyboard.insert_text(text)
    return editor


def written(page: Page, *lines: str) -> None:
    """Wait until the editor has these lines."""
    expect(page.locator(".cm-line")).to_have_text(lines)


def test_a_script_is_checked_and_run(window: Window) -> None:
    """The playground marks a mistake while a person types, with what was meant, and runs the script beside it."""
    page = window.open("/playground?example=report")
    write(page, "local render = app.integrations.render2\nprint(#render.list_servces({}).services)")
    expect(page.locator(".findings .error")).to_contain_text("list_services")
    expect(page.locator(".cm-lintRange-error")).to_have_count(1)
    editor = write(
        page, "local render = app.integrations.render2\nprint(#render.list_services({ limit = 3 }).services)"
    )
    expect(page.locator(".findings")).to_contain_text("No mistakes found")
    expect(page.locator(".bill")).to_contain_text("render2.list_services")
    expect(page.locator(".cm-line .hl-k").first).to_have_text("local")
    editor.press("Control+Enter")
    expect(page.locator("#result .output")).to_have_text("3\n")
    expect(page.locator("#result .status")).to_have_text("done")


def test_the_editor_completes_what_is_typed(window: Window) -> None:
    """It offers functions with what they do, then arguments, and says which arguments a function has."""
    page = window.open("/playground?source=local+render+%3D+app.integrations.render2%0A")
    editor = page.get_by_label("Lua script")
    editor.press("Control+End")
    editor.press_sequentially("render.restart_s")
    offered = page.get_by_role("option", name="restart_service")
    expect(offered).to_contain_text("Restart the instances")
    expect(offered).to_have_attribute("aria-selected", "true")
    page.wait_for_timeout(100)  # completion ignores keys for a moment after it appears
    editor.press("Enter")
    written(page, "local render = app.integrations.render2", "render.restart_service")
    editor.press_sequentially("({ ")
    expect(page.get_by_role("option", name="service_id")).to_be_visible()
    expect(page.locator("#signature")).to_contain_text("restart_service{ service_id: ")


def test_what_is_typed_while_the_server_answers_is_completed(window: Window) -> None:
    """Also if there was nothing to offer where the cursor was when it was asked."""
    page = window.open("/playground?source=app.integrations.render2.restart_service")
    held: list[Route] = []

    def is_asked() -> bool:
        page.wait_for_timeout(20)
        return sum("%28" in (each.request.post_data or "") for each in held) == 2  # what to offer, and the signature

    page.route("**/playground/complete", lambda route: held.append(route))
    editor = page.get_by_label("Lua script")
    editor.press("Control+End")
    editor.press_sequentially("(")
    assert eventually(is_asked)
    editor.press_sequentially("{ ")
    for each in held:
        each.continue_()
    page.unroute("**/playground/complete")
    expect(page.get_by_role("option", name="service_id")).to_be_visible()


def test_the_editor_indents_and_lets_go(window: Window) -> None:
    """A line goes on where the last began, Tab indents, and after Escape it leaves the editor."""
    page = window.open("/playground?source=x")
    editor = write(page, "")
    editor.press_sequentially("for i = 1, 2 do")
    editor.press("Escape")
    editor.press_sequentially("\n")
    editor.press("Tab")
    editor.press_sequentially("f(i)")
    written(page, "for i = 1, 2 do", "    f(i)")
    editor.press("Escape")
    editor.press("Escape")
    editor.press("Tab")
    expect(editor).not_to_be_focused()


def test_what_was_typed_is_undone(window: Window) -> None:
    """Lines that the editor indents are undone like others, and a mistake does not move the numbers of lines."""
    page = window.open("/playground?source=x+%3D+1")
    editor = page.get_by_label("Lua script")
    editor.press("End")
    editor.press_sequentially("\ny = nill()")
    expect(page.locator(".cm-lintRange")).to_have_count(1)
    numbers = page.locator(".cm-lineNumbers .cm-gutterElement:visible").filter(has_text=re.compile(r"^\d+$"))
    expect(numbers).to_have_text(["1", "2"])
    tops = numbers.evaluate_all("each => each.map(one => one.getBoundingClientRect().top)")
    lines = page.locator(".cm-line").evaluate_all("each => each.map(one => one.getBoundingClientRect().top)")
    assert tops == pytest.approx(lines, abs=2)
    for _ in range(6):
        editor.press("Control+z")
    written(page, "x = 1")


def test_a_call_is_approved_beside_the_script(window: Window) -> None:
    """A write asks under the editor, also if it is simulated, and the run goes on there."""
    page = window.open("/playground?example=restart")
    page.get_by_role("button", name="Run", exact=True).click()
    result = page.locator("#result")
    result.get_by_role("button", name="Approve").click()
    expect(result.locator(".output")).to_contain_text("restarted\tcheckout-api-prod")
    expect(page).to_have_url(re.compile("/playground"))
    expect(page.locator(".cm-line").first).to_contain_text("Restarts one service")


def test_a_script_of_the_playground_is_stopped_and_planned(window: Window) -> None:
    """Stop ends it, and Plan lists what it would change."""
    page = window.open("/playground?source=while+true+do+end")
    page.get_by_role("button", name="Run", exact=True).click()
    result = page.locator("#result")
    result.get_by_role("button", name="Stop").click()
    expect(result.locator(".status")).to_have_text("interrupted")
    page = window.open("/playground?example=plan")
    page.get_by_role("button", name="Plan", exact=True).click()
    expect(result.locator(".output")).to_contain_text("3 x render2.restart_service")
    result.get_by_role("link", name="Apply or deny").click()
    expect(page.get_by_role("button", name="Apply")).to_be_visible()


def test_a_draft_is_kept(window: Window) -> None:
    """A reload shows what was typed; a link with a script shows that script."""
    page = window.open("/playground")
    write(page, "print('a draft')")
    kept = "() => Object.values(localStorage).includes(\"print('a draft')\")"
    assert eventually(lambda: bool(page.evaluate(kept)))
    window.open("/playground")
    written(page, "print('a draft')")
    page.get_by_role("button", name="Copy link").click()
    expect(page).to_have_url(re.compile(r"source=print%28%27a\+draft%27%29"))
    window.open("/playground?source=print%282%29")
    written(page, "print(2)")


def test_a_route_among_the_hits_fits_a_phone(browser: Browser, pages: Pages) -> None:
    """A long word of a hit breaks, so that nothing scrolls sideways."""
    with opened(browser, pages, "acme", viewport=PHONE) as window:
        assert overflow(window.open("/docs?q=create+issue")) <= 0


def test_sign_in_and_out(browser: Browser, pages: Pages) -> None:
    """A wrong token is told so, a right one opens the pages, and after the sign-out they are closed."""
    window = Window(browser, pages)
    window.sign_in("wrong")
    expect(window.page.get_by_role("alert")).to_have_text("No tenant has this token.")
    window.sign_in()
    window.page.wait_for_url("**/approvals")
    window.page.get_by_role("button", name="Sign out").click()
    window.page.wait_for_url("**/login")
    assert "/login" in window.open("/runs").url
    window.context.close()
    assert [each for each in window.complaints if "401" not in each] == []


def test_a_form_without_its_mark_is_refused(pages: Pages, window: Window) -> None:
    """A form that lost the mark of the session does nothing."""
    run = pages.record("acme", RESTART, "forged.lua")
    page = window.open(f"/runs/{run}")
    form = page.locator("form.approval").first
    form.evaluate(
        """each => {
            each.querySelector('[name="token_of_form"]').value = "x";
            each.querySelector('[data-key="a"]').click();
        }"""
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("Refused")
    expect(window.open(f"/runs/{run}").locator(".status").first).to_have_text("paused")
    assert [each for each in window.complaints if "403" not in each] == []
    window.complaints.clear()


def test_a_page_works_without_scripts(browser: Browser, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Approving, stopping, searching and the playground need no script, and the policy can forbid them."""
    policy = rendering.POLICY.replace("script-src 'self'", "script-src 'none'")
    monkeypatch.setattr(rendering, "POLICY", policy)
    monkeypatch.setitem(rendering.HEADERS, "Content-Security-Policy", policy)
    linked, *_ = pages.record_all("plain", dict.fromkeys(("linked.lua", "one.lua", "two.lua"), RESTART))
    window = Window(browser, pages)
    window.sign_in(token_of("plain"))
    page = window.open(f"/a/{linked}-2")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("Approved 1 call")
    expect(page.locator("html")).not_to_have_class(re.compile("scripts"))
    page.get_by_role("button", name="Approve 2").click()
    expect(page.get_by_role("status")).to_contain_text("Approved 2 calls")
    expect(page.locator(".empty")).to_be_visible()

    def has_status(status: str) -> bool:
        page.reload()
        return page.locator(".status").first.inner_text() == status

    pages.start("plain", "while true do end", run="0123456789ab")
    assert eventually(lambda: window.open("/runs/0123456789ab").get_by_role("button", name="Stop").is_visible())
    with page.expect_navigation():
        page.get_by_role("button", name="Stop").click()
    assert eventually(lambda: has_status("interrupted"))
    window.open("/docs").get_by_role("searchbox").fill("list services")
    page.keyboard.press("Enter")
    expect(page.locator(".hits li").first).to_contain_text("list_services")
    window.open("/playground").get_by_role("textbox", name="Lua script").fill('print("typed")')
    with page.expect_navigation():
        page.get_by_role("button", name="Run").click()
    assert eventually(lambda: has_status("done"))
    page.get_by_role("link", name="Replay").click()
    expect(page.locator(".output")).to_contain_text("typed")
    window.context.close()


def test_the_sign_in_bars_nobody(browser: Browser, pages: Pages) -> None:
    """axe finds no fault on the page that everybody sees first."""
    window = Window(browser, pages)
    assert AXE.run(window.page).response["violations"] == []
    window.context.close()


def test_pages_are_named(window: Window) -> None:
    """Each page has a title and one first heading, and says in the navigation where one is."""
    titles = set()
    for section in ("approvals", "runs", "docs", "playground", "accounts", "insights", "catalogue"):
        page = window.open(f"/{section}")
        titles.add(page.title())
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.locator("nav [aria-current=page]").first).to_have_text(
            re.compile("inbox" if section == "approvals" else section, re.IGNORECASE)
        )
    assert len(titles) == 7
