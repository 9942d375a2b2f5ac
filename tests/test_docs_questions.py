"""Questions in plain English: the page that answers each is among the first three."""

from __future__ import annotations

import pytest

from kosmolua import Runtime
from kosmolua.docs.outline import Outlines
from kosmolua.docs.ranking import Entry
from kosmolua.docs.search import FullText, Index, Plain, entries_of, fts5

GOOD_ENOUGH = 3
"""Places from the top."""

QUESTIONS = {
    "overview": ["rules for a script", "what is a script"],
    "accounts": ["where do I put my api key", "production and staging accounts"],
    "errors": ["what happens when a call fails", "retry after a rate limit", "what does a failed call raise"],
    "sandbox": [
        "how long may a script run",
        "how much memory does a script have",
        "make several calls at the same time",
    ],
    "examples": ["go through all the pages of a list", "count services by type", "use two accounts in one script"],
    "plugins": ["write my own integration", "test a plugin without the network", "paging in a plugin"],
    "mcp": ["set up an MCP client", "what can an agent do", "ask a person to approve a write"],
    "list_services": ["get all services at once", "listServices", "which services are there"],
    "create_service": ["make a new web service"],
    "update_service": ["modify the settings of a service"],
    "delete_service": ["get rid of a service", "delete a service for good"],
    "suspend_service": ["stop a service for a while"],
    "resume_service": ["wake a suspended service up"],
    "restart_service": ["restart a service"],
    "scale_service": ["how many instances does it run on", "scaleService"],
    "list_deploys": ["why did my deploy fail", "failed deploys", "show me the last deploy"],
    "trigger_deploy": ["begin a deploy"],
    "cancel_deploy": ["abort a deploy which is under way"],
    "rollback_deploy": ["roll back to the previous version"],
    "create_job": ["run a one-off command"],
    "cancel_job": ["kill a running job"],
    "run_cron_job": ["run my cron job right now"],
    "list_env_vars": ["env vars", "what environment variables does a service have"],
    "set_env_var": ["update environment variable", "change an environment variable", "edit an env variable"],
    "replace_all_env_vars": ["overwrite all environment variables"],
    "list_logs": ["show me the latest logs of a service"],
    "list_events": ["what happened to my service lately"],
    "create_custom_domain": ["add a domain to my service"],
    "get_custom_domain": ["has my domain been verified"],
    "delete_custom_domain": ["remove a custom domain"],
    "list_postgres": ["list databases"],
    "get_current_user": ["who am I", "who am I logged in as"],
    "list_owners": ["which workspaces are there"],
    "search_repos": ["find repositories by a topic"],
    "list_commits": ["history of commits on a branch"],
    "list_releases": ["what was the newest release of a repository"],
    "list_issues": ["what issues are open"],
    "get_issue": ["read a pull request"],
    "create_issue": ["open a bug report on github"],
}


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> list[Entry]:
    """Everything that comes with the package."""
    nowhere = tmp_path_factory.mktemp("home") / "accounts.toml"
    nowhere.touch()
    with Runtime(nowhere, simulate=True, environ={}) as runtime:
        return list(entries_of(runtime.catalog, Outlines(runtime.catalog)))


@pytest.fixture(scope="module")
def full_text(entries: list[Entry]) -> Index:
    return FullText(entries, fts5())


@pytest.fixture(scope="module")
def plain(entries: list[Entry]) -> Index:
    return Plain(entries)


@pytest.mark.parametrize(("page", "question"), [(page, each) for page in QUESTIONS for each in QUESTIONS[page]])
def test_a_question_leads_to_the_page_that_answers_it(full_text: Index, page: str, question: str) -> None:
    """Whoever asks does not know what the page is called."""
    assert page in [hit.page.rpartition(".")[2] for hit in full_text.find(question, GOOD_ENOUGH)]


@pytest.mark.parametrize("question", [each for questions in QUESTIONS.values() for each in questions])
def test_an_answer_is_the_same_without_fts5(full_text: Index, plain: Index, question: str) -> None:
    """The same pages, in the same order, with the same snippets."""
    assert full_text.find(question, 10) == plain.find(question, 10)
