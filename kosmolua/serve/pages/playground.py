"""The playground: a page on which a person can write, check and run scripts. Calls are simulated by default."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from kosmolua import protocol
from kosmolua.escaping import exposed
from kosmolua.lua.check import Checker, Report
from kosmolua.runs.job import chunk_of
from kosmolua.serve.pages.visits import Visit

START = """\
-- Lua 5.4. app.integrations has what the pages under Docs describe.
print("hello from the sandbox")
return { answer = 6 * 7 }
"""
"""The script that the editor shows at the beginning."""


def opened(visit: Visit) -> Response:
    """Return the playground page. Its editor shows the code or the run's script that the URL names, or an example."""
    source = visit.request.query_params.get("source", "") or START
    if name := visit.asked("run"):
        if visit.own.find(name) is None:
            return visit.error("Not found", "There is no such run.", status=404, back="/runs")
        recording = visit.own.recording(name)
        source = protocol.to_bytes(recording.script["source"]).decode("utf-8", "replace")
    return _page(visit, exposed(source.replace("\r\n", "\n")))


def used(visit: Visit) -> Response:
    """Check or run the script in the form, and return the whole playground page with the result.

    This is for browsers without JavaScript. A live run is started in the background, and the answer redirects to its
    page.
    """
    source = _source(visit)
    if visit.form.get("deed") == "check":
        return _page(visit, source, report=_checked(visit, source))
    if not _is_simulated(visit):
        return visit.redirect(f"/runs/{visit.own.run(source)}")
    return _page(visit, source, report=_checked(visit, source), **_tried(visit, source))


def checked(visit: Visit) -> Response:
    """Check the script in the form. Return the findings as HTML, which replaces a part of the playground page."""
    return _page(visit, "", report=_checked(visit, _source(visit)))


def run(visit: Visit) -> Response:
    """Run the script in the form.

    For a simulated run, return the outcome as HTML, which replaces a part of the playground page. A live run continues
    in the background, and the URL of its page is returned in a header.
    """
    source = _source(visit)
    if not _is_simulated(visit):
        answer = Response(status_code=204)
        answer.headers["X-Leads-To"] = f"{visit.root}/runs/{visit.own.run(source)}"
        return answer
    return visit.page("outcome.html", parts=("outcome",), **_tried(visit, source))


def _tried(visit: Visit, source: str) -> dict[str, Any]:
    outcome = visit.own.try_out(source)
    return {"outcome": outcome, "calls": outcome.calls}


def _checked(visit: Visit, source: str) -> Report:
    runtime = visit.own.simulated if _is_simulated(visit) else visit.own.runtime
    return Checker(runtime.catalog).check(chunk_of(source.encode("utf-8", "replace")))


def _source(visit: Visit) -> str:
    """Return the script in the form. The CR LF that browsers send at the ends of lines is replaced by LF."""
    return visit.form.get("source", "").replace("\r\n", "\n")


def _is_simulated(visit: Visit) -> bool:
    return visit.form.get("simulate") == "yes"


def _page(visit: Visit, source: str, **shown: Any) -> Response:
    simulate = visit.request.method == "GET" or _is_simulated(visit)
    frame: dict[str, Any] = {"report": None, "outcome": None, "problem": None, "calls": []}
    return visit.page(
        "playground.html", "playground", parts=("findings",), source=source, simulate=simulate, **{**frame, **shown}
    )
