"""Names that do not exist: what is suggested for them, by spelling and by meaning, and never another change."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kosmolua import Runtime
from kosmolua.docs.meant import functions_meant


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A runtime over simulators."""
    with Runtime(os.devnull, simulate=True, environ={}) as runtime:
        yield runtime


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("list_service", "list_services"),
        ("create_deploy", "trigger_deploy"),
        ("deploy", "trigger_deploy"),
        ("list_databases", "list_postgres"),
        ("get_database", "get_postgres"),
        ("list_redis", "list_key_values"),
        ("delete_database", "delete_postgres"),
        ("add_domain", "create_custom_domain"),
        ("start_service", "resume_service"),
        ("stop_service", "suspend_service"),
        ("update_env_var", "set_env_var"),
        ("undo_deploy", "rollback_deploy"),
        ("restart", "restart_service"),
        ("get_logs", "list_logs"),
        ("delete_servce", "delete_service"),
        ("render_list_service", "list_services"),
    ],
)
def test_the_function_that_is_meant_comes_first(runtime: Runtime, name: str, meant: str) -> None:
    """By what a word means as in a search, and by how it is spelled."""
    assert functions_meant(runtime.catalog.integration("render2"), name)[0] == meant


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("comment_on_issue", "create_comment"),
        ("search_issues", "search_issues_and_pull_requests"),
        ("issues_search", "search_issues_and_pull_requests"),
        ("list_issue", "list_issues"),
    ],
)
def test_words_are_found_in_any_order(runtime: Runtime, name: str, meant: str) -> None:
    """Also what a function makes, and the beginning of a longer name."""
    assert functions_meant(runtime.catalog.integration("github"), name)[0] == meant


@pytest.mark.parametrize(
    ("integration", "name"),
    [
        *(("render2", name) for name in ("delete_account", "get_invoice", "lst", "")),
        *(("github", name) for name in ("close_milestone", "erase_profile")),
    ],
)
def test_no_change_is_suggested_for_another(runtime: Runtime, integration: str, name: str) -> None:
    """Nobody is led to delete a service who wanted to delete something else."""
    functions = runtime.catalog.integration(integration).functions
    meant = functions_meant(runtime.catalog.integration(integration), name)
    assert [functions[each].effect for each in meant] == ["read"] * len(meant)


def test_a_refusal_says_that_no_function_does_it(runtime: Runtime) -> None:
    """The search ends there: the message says where all functions are."""
    error = runtime.run("app.integrations.render2.delete_account()").error
    assert error
    count = len(runtime.catalog.integration("render2").functions)
    assert f"render2 has no function for that: lua_list_docs('render2') lists its {count}" in error.message
    assert error.message.count("lua_list_docs") == 1
