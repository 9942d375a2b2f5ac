"""The playground: a page on which a person can write, check and run scripts. Calls are simulated by default."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from kosmolua import protocol
from kosmolua.check.checker import Report
from kosmolua.escaping import exposed
from kosmolua.runs.job import chunk_of
from kosmolua.serve.pages.page_request import NotFound, PageRequest

START = """\
-- Lua 5.4. app.integrations has what the pages under Docs describe.
print("hello from the sandbox")
return { answer = 6 * 7 }
"""
"""The script that the editor shows at the beginning."""


def opened(request: PageRequest) -> Response:
    """Return the playground page. Its editor shows the code or the run's script that the URL names, or an example."""
    source = request.request.query_params.get("source", "") or START
    if name := request.asked("run"):
        if request.own.find(name) is None:
            raise NotFound("There is no such run.", "/runs")
        recording = request.own.recording(name)
        source = protocol.to_bytes(recording.script["source"]).decode("utf-8", "replace")
    return _page(request, exposed(source.replace("\r\n", "\n")))


def used(request: PageRequest) -> Response:
    """Check or run the script in the form, and return the whole playground page with the result.

    This is for browsers without JavaScript. A live run is started in the background, and the answer redirects to its
    page.
    """
    source = _source(request)
    if request.form.get("deed") == "check":
        return _page(request, source, report=_checked(request, source))
    if not _is_simulated(request):
        return request.redirect(f"/runs/{request.own.run(source, request.session.person)}")
    return _page(request, source, report=_checked(request, source), **_tried(request, source))


def checked(request: PageRequest) -> Response:
    """Check the script in the form. Return the findings as HTML, which replaces a part of the playground page."""
    return _page(request, "", report=_checked(request, _source(request)))


def run(request: PageRequest) -> Response:
    """Run the script in the form.

    For a simulated run, return the outcome as HTML, which replaces a part of the playground page. A live run continues
    in the background, and the URL of its page is returned in a header.
    """
    source = _source(request)
    if not _is_simulated(request):
        answer = Response(status_code=204)
        answer.headers["X-Leads-To"] = f"{request.root}/runs/{request.own.run(source, request.session.person)}"
        return answer
    return request.page("outcome.html", parts=("outcome",), **_tried(request, source))


def _tried(request: PageRequest, source: str) -> dict[str, Any]:
    outcome = request.own.try_out(source)
    return {"outcome": outcome, "calls": outcome.calls}


def _checked(request: PageRequest, source: str) -> Report:
    runtime = request.own.simulated if _is_simulated(request) else request.own.runtime
    return runtime.checker(is_complete=False).check(chunk_of(source.encode("utf-8", "replace")))


def _source(request: PageRequest) -> str:
    """Return the script in the form. The CR LF that browsers send at the ends of lines is replaced by LF."""
    return request.form.get("source", "").replace("\r\n", "\n")


def _is_simulated(request: PageRequest) -> bool:
    return request.form.get("simulate") == "yes"


def _page(request: PageRequest, source: str, **shown: Any) -> Response:
    simulate = request.request.method == "GET" or _is_simulated(request)
    frame: dict[str, Any] = {"report": None, "outcome": None, "problem": None, "calls": []}
    return request.page(
        "playground.html",
        "playground",
        parts=("findings",),
        source=source,
        simulate=simulate,
        is_simulated=request.own.runtime.is_simulated,
        **{**frame, **shown},
    )
