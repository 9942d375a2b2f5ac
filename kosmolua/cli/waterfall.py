"""Draws the calls of a recorded run as a waterfall, a chart with a bar for the time of each call.

The chart is drawn in a terminal, or written as a page of HTML.
"""

from __future__ import annotations

import json
from html import escape

from kosmolua.cli import console, terminal
from kosmolua.cli.terminal import JOINT
from kosmolua.escaping import exposed, shortened
from kosmolua.recordings.recording import Recording
from kosmolua.recordings.timeline import Bar, bars_of, headline
from kosmolua.schema import luacats
from kosmolua.schema.effects import is_final

MIN_BAR, MAX_BAR = 10, 40
"""The width of the bars in a terminal, in columns."""
OTHERS = 24
"""How many columns beside a bar its time and its status take."""
LATER = "     "
"""Where the further lines about a call begin."""
MAX_ARGUMENTS = 2000
"""The most characters of a call's arguments on the page."""
MAX_LINE, HEAD, TAIL = 1000, 600, 300
"""How many characters of a call's arguments a terminal shows; of longer ones, how many at the beginning and the end."""


def draw(recording: Recording) -> None:
    """Write the calls of a recording to standard output: rows with bars on a terminal, tab-separated rows in a pipe."""
    bars = bars_of(recording)
    console.say(headline(recording, terminal.both(recording.header["time"])))
    if not terminal.on_terminal():
        for bar in bars:
            cells = (bar.number, bar.effect, bar.path, bar.account, bar.status, round(bar.begins), round(bar.duration))
            console.line("\t".join([*map(str, cells), bar.remarks, _arguments(bar)]))
        return
    waiting = {call["number"] for call in recording.paused_calls}
    whole = max((bar.begins + bar.duration for bar in bars), default=0.0) or 1.0
    titles = [f"{bar.number:>4} {exposed(bar.path)} [{exposed(bar.account)}]" for bar in bars]
    columns, width = terminal.width(), max(map(len, titles), default=0)
    if is_narrow := width + MIN_BAR + OTHERS > columns:
        width = len(LATER)
    room = max(MIN_BAR, min(MAX_BAR, columns - width - OTHERS))
    lines = [f"{'':<{width}} {'0':<{room - 8}}{terminal.spelled(whole):>8}"] if bars else []
    for bar, title in zip(bars, titles, strict=True):
        before = min(int(bar.begins / whole * room), room - 1)
        length = max(1, min(round(bar.duration / whole * room), room - before))
        role = bar.effect if bar.status == "ok" else bar.status
        drawn = terminal.styled(terminal.mark("bar") * length, role)
        remarks = exposed(f"{terminal.spelled(bar.duration):>8} {bar.status} {bar.remarks}").rstrip()
        row = f"{'' if is_narrow else title:<{width}} {' ' * before}{drawn}{' ' * (room - before - length)} {remarks}"
        lines += [title] if is_narrow else []
        lines += terminal.broken(row.replace("  ", JOINT * 2), columns, LATER)
        if arguments := _arguments(bar):
            # Somebody decides about a call that waits, so nothing of it is left out.
            is_whole = bar.number in waiting or len(arguments) <= MAX_LINE
            shown = f"{LATER}{arguments if is_whole else shortened(arguments, HEAD, TAIL)}"
            lines += [terminal.styled(each, "dim") for each in terminal.broken(shown, columns)]
    console.shown(lines)


def _arguments(bar: Bar) -> str:
    """Return the arguments of a call on one line."""
    given = bar.named_arguments.items()
    return ", ".join(f"{exposed(name)} = {exposed(luacats.literal(value))}" for name, value in given)


STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2em;color:#222;background:#fff}
h1{font-size:1.2em}table{border-collapse:collapse;width:100%}
td,th{padding:.15em .5em;text-align:left;vertical-align:top;white-space:nowrap}
td.time{width:45%}tr:nth-child(even){background:#f6f6f6}
.track{position:relative;height:1.1em;background:#0001}
.bar{position:absolute;top:.15em;bottom:.15em;min-width:2px;border-radius:2px;background:#8aa}
.write{background:#2a7}.destroy{background:#c33}.failed,.unknown{outline:2px solid #c33}.refused{opacity:.4}
pre{white-space:pre-wrap;margin:.3em 0;font-size:.9em}summary{cursor:pointer}.red{color:#c33}
"""


def page(recording: Recording) -> str:
    """Return an HTML page with the waterfall of a recording. The page needs no other files and no JavaScript."""
    bars = bars_of(recording)
    whole = max((bar.begins + bar.duration for bar in bars), default=0.0) or 1.0
    rows = "".join(_row(bar, whole) for bar in bars)
    title, script = _shown(headline(recording)), _shown(str(recording.script["source"]).replace("\r\n", "\n"))
    head = f'<meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    columns = "".join(f"<th>{name}" for name in ("call", "function", "account", "effect", "status", "ms", "time"))
    return (
        f"<!doctype html><html lang=en><head>{policy}{head}</head><body><h1>{title}</h1>"
        f"<table><tr>{columns}</tr>{rows}</table>"
        f"<details><summary>The script</summary><pre>{script}</pre></details></body></html>\n"
    )


def _shown(text: str) -> str:
    """Return a text as HTML, with codes in place of characters that are invisible or change the direction of text."""
    return escape(exposed(text))


def _row(bar: Bar, whole: float) -> str:
    arguments = json.dumps(bar.arguments, ensure_ascii=False, indent=1)[:MAX_ARGUMENTS]
    told = f"allowed by: {bar.allowed_by}\n{arguments}" if bar.allowed_by else arguments
    left, width = bar.begins / whole * 100, bar.duration / whole * 100
    kinds = _shown(f"bar {bar.effect} {bar.status}")
    drawn = f'<div class=track><div class="{kinds}" style="left:{left:.2f}%;width:{width:.2f}%"></div></div>'
    cells = [
        str(bar.number),
        f"<details><summary>{_shown(bar.path)}</summary><pre>{_shown(told)}</pre></details>",
        _shown(bar.account),
        f"<span class=red>{_shown(bar.effect)}</span>" if is_final(bar.effect) else _shown(bar.effect),
        _shown(f"{bar.status} {bar.remarks}".strip()),
        f"{bar.duration:.0f}",
    ]
    return "<tr>" + "".join(f"<td>{cell}" for cell in cells) + f"<td class=time>{drawn}</tr>"
