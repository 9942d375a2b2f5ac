"""Values in a notation: what is malformed is refused before it is sent, and what services accept is not."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kosmolua import Runtime
from kosmolua.check.checker import Checker
from kosmolua.plugin import AbsolutePath, OneOf, Schedule, Url
from kosmolua.schema.bounds import Bound
from kosmolua.schema.formats import Format


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A simulation that allows writes."""
    with Runtime(os.devnull, simulate=True, yes=True, environ={}) as runtime:
        yield runtime


@pytest.mark.parametrize(
    ("bound", "value"),
    [
        *((Schedule(), each) for each in ("0 3 * * *", "*/5 0-6,22 * * MON-FRI", "0 0 1 JAN *", "@daily")),
        *((Url(), each) for each in ("https://github.com/a/b", "git@github.com:a/b.git", "ssh://git@host/a")),
        *((AbsolutePath(), each) for each in ("/", "/var/data")),
        *((OneOf("error", "Warning"), each) for each in ("error", "ERROR", "warning")),
        *(
            (Format("date-time"), each)
            for each in ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123+02:00", "2026-01-31")
        ),
        *((Format("email"), each) for each in ("a@b.example", "")),
        (Format("date"), "2026-02-28"),
        (Format("uuid"), "123E4567-e89b-12d3-a456-426614174000"),
        (Format("uri"), "mailto:a@b.example"),
    ],
)
def test_a_value_in_its_notation_is_accepted(bound: Bound, value: str) -> None:
    """In each of its usual forms."""
    assert bound.holds(value)


@pytest.mark.parametrize(
    ("bound", "value"),
    [
        *((Schedule(), each) for each in ("0 25 * * *", "daily", "* * * *", "0 0 0 3 * *", "")),
        *((Url(), each) for each in ("acme/x", "github.com/a/b", "https://", "")),
        *((AbsolutePath(), each) for each in ("data", "./data", "")),
        *((OneOf("error", "Warning"), each) for each in ("err", "error ", "")),
        *((Format("date-time"), each) for each in ("last week", "2026-2-1", "1700000000", "")),
        *((Format("date"), each) for each in ("2026-13-01", "2026-01-31T00:00:00Z")),
        (Format("uuid"), "123"),
        (Format("email"), "nobody"),
        (Format("uri"), "example.com/x"),
    ],
)
def test_another_value_is_not(bound: Bound, value: str) -> None:
    """The bound says what is expected."""
    assert not bound.holds(value)
    assert bound.holds(str(bound.example))
    assert repr(bound.example) in bound.words


CALLS = {
    "schedule": 'create_service({ type = "cron_job", name = "c", repo = "https://x.test/r", build_command = "b", '
    'start_command = "s", schedule = "0 25 * * *" })',
    "repo": 'create_service({ type = "web_service", name = "c", repo = "acme/x", start_command = "s" })',
    "plan": 'update_service({ service_id = "srv-cabc12345678", plan = "huge" })',
    "mount_path": 'add_disk({ service_id = "srv-cabc12345678", name = "d", mount_path = "data", size_gb = 10 })',
    "mount_path of a disk": 'create_service({ type = "web_service", name = "c", repo = "https://x.test/r", '
    'start_command = "s", disk = { name = "d", mount_path = "data" } })',
    "event_filter": 'create_webhook({ url = "https://x.test", name = "n", enabled = true, event_filter = { "x" } })',
    "start_time": 'list_owner_audit_logs({ owner_id = "tea-u7xfpobplfpwy5jeaiz7", start_time = "last week" })',
}


@pytest.mark.parametrize("name", CALLS)
def test_the_check_refuses_a_malformed_value_that_is_written(runtime: Runtime, name: str) -> None:
    """Also inside a list or a table, and of a function from a document."""
    errors = Checker(runtime.catalog).check(f"print(app.integrations.render2.{CALLS[name]})").errors
    assert [name.split()[0] in error.message for error in errors] == [True]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_refuses_a_malformed_value_before_it_is_sent(runtime: Runtime, name: str) -> None:
    """Wherever the value comes from."""
    outcome = runtime.run(f"app.integrations.render2.{CALLS[name]}", check=False)
    assert outcome.error
    assert outcome.error.code == "bad_arguments"
    assert "Nothing was sent" in str(outcome.error)
