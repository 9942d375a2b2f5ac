"""Helps to test integrations and scripts without a network. A playground runs scripts and answers the requests:

    def test_a_note_is_read():
        play = Playground(integration, {("GET", "/notes/n-1"): {"id": "n-1", "text": "milk"}})
        assert play.run("return app.integrations.notes.get_note('n-1').text") == "milk"
        assert play.lines == ["GET /v1/notes/n-1"]

Everything between the Lua code and the service is real: the sandbox, the checks of arguments, the integration.

A script can also be tested against a recording of a real run, which the pytest fixture ``kosmolua_recording`` opens in
the folder of the test:

    def test_the_report_counts_services(kosmolua_recording):
        assert kosmolua_recording("report.jsonl").run() == 12

A simulator that is written by hand is made of the parts in :mod:`kosmolua.testing.simulators`.
"""

from kosmolua.testing.playground import Account, Playback, Playground, Reply, in_turn
from kosmolua.testing.simulators import BEGINNING, RouteMatch, Routes, SimulatedAccount, SimulatedService, answer

__all__ = [
    "BEGINNING",
    "Account",
    "Playback",
    "Playground",
    "Reply",
    "RouteMatch",
    "Routes",
    "SimulatedAccount",
    "SimulatedService",
    "answer",
    "in_turn",
]
