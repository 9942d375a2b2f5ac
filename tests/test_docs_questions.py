"""Questions in plain English: the page that answers each is among the first three."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.agent_questions import (
    ADDRESSED,
    CURATED,
    DOCUMENTED,
    FRESH_CURATED,
    FRESH_DOCUMENTED,
    FRESH_GUIDES,
    GUIDES,
    LATER,
    PLAIN,
    SHORT_CURATED,
    SHORT_GUIDES,
    WORDED_CURATED,
    WORDED_GUIDES,
)
from support.documents import DOCUMENTS, shared
from support.questions import ASKED

from kosmolua import Runtime
from kosmolua.docs.outline import Outlines
from kosmolua.docs.pages import FOR_PEOPLE, NAMES
from kosmolua.docs.search import Index, Owner, Search, entries_of, entries_of_guides

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
        "string.format",
    ],
    "examples": ["go through all the pages of a list", "use two accounts in one script"],
    "plugins": ["write my own integration", "test a plugin without the network", "paging in a plugin"],
    "mcp": ["set up an MCP client", "what can an agent do", "ask a person to approve a write"],
    "list_services": ["get all services at once", "listServices", "count services by type", "which services are there"],
    "create_service": ["make a new web service"],
    "update_service": ["modify the settings of a service"],
    "delete_service": ["get rid of a service", "delete a service for good"],
    "suspend_service": ["stop a service for a while"],
    "resume_service": ["wake a suspended service up"],
    "restart_service": ["restart a service"],
    "scale_service": ["change how many instances it runs on", "scaleService"],
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
    "get_issue": ["read an issue"],
    "get_pull_request": ["read a pull request"],
    "list_pull_requests": ["which pull requests are open"],
    "merge_pull_request": ["merge a pull request"],
    "create_comment": ["comment on an issue"],
    "list_workflow_runs": ["did the build on github actions fail"],
    "get_metrics": ["how much memory does a service use"],
    "create_postgres": ["make a new database"],
    "list_disks": ["which disks are there"],
    "list_env_groups": ["which environment groups are there"],
    "create_issue": ["open a bug report on github"],
}


EVERYDAY = {
    "reboot my app": "restart_service",
    "undo a bad release": "rollback_deploy",
    "read one config value": "get_env_var",
    "turn off a service overnight": "suspend_service",
    "bring a service back up": "resume_service",
    "pause a service": "suspend_service",
    "unpause a service": "resume_service",
    "redis": "list_key_values",
    "list my redis instances": "list_key_values",
    "cache instances": "list_key_values",
    "show my databases": "list_postgres",
    "database details": "get_postgres",
    "sql database": "list_postgres get_postgres",
    "ship the latest code": "trigger_deploy",
    "publish a new version": "trigger_deploy",
    "redeploy my service": "trigger_deploy",
    "revert to the last good version": "rollback_deploy",
    "go back to an older build": "rollback_deploy",
    "stop a deployment": "cancel_deploy",
    "is my deploy finished": "get_deploy list_deploys",
    "deployment history": "list_deploys",
    "deploy status": "get_deploy list_deploys",
    "who am i": "get_current_user",
    "my email address": "get_current_user",
    "which teams do I have": "list_owners",
    "workspaces": "list_owners",
    "add more instances": "scale_service",
    "scale up": "scale_service",
    "increase the number of servers": "scale_service",
    "show error logs": "list_logs",
    "tail the logs": "list_logs",
    "read the output of my app": "list_logs",
    "what went wrong with my service": "list_events list_logs",
    "crash history": "list_events list_logs",
    "put a secret in the environment": "set_env_var",
    "change one setting in the environment": "set_env_var",
    "remove a config variable": "delete_env_var",
    "unset env": "delete_env_var",
    "list all secrets of a service": "list_secret_files list_env_vars",
    "dump the config": "list_env_vars",
    "replace every variable": "replace_all_env_vars",
    "connect my own domain": "create_custom_domain",
    "attach a hostname": "create_custom_domain",
    "check dns": "verify_custom_domain",
    "is my domain verified": "get_custom_domain",
    "which domains does it have": "list_custom_domains",
    "detach a domain": "delete_custom_domain",
    "run a migration script once": "create_job",
    "execute a shell command": "create_job",
    "run a task": "create_job run_cron_job",
    "did the job succeed": "get_job list_jobs",
    "stop a job": "cancel_job",
    "start the nightly job now": "run_cron_job",
    "trigger a scheduled task": "run_cron_job",
    "destroy a service": "delete_service",
    "tear down an app": "delete_service",
    "launch a new website": "create_service",
    "create an app": "create_service",
    "host a static site": "create_service",
    "set up a background worker": "create_service",
    "change the plan of a service": "update_service",
    "rename a service": "update_service",
    "change the start command": "update_service",
    "show one app": "get_service",
    "find a service by name": "list_services",
    "list applications": "list_services",
    "projects of a user on github": "list_repos",
    "search code repositories": "search_repos",
    "open tickets": "list_issues",
    "file a bug": "create_issue",
    "report an issue": "create_issue",
    "latest commits": "list_commits",
    "changelog of a repo": "list_releases list_commits",
    "latest version of a library": "list_releases",
    "who committed last": "list_commits",
    "pull requests": "list_pull_requests get_pull_request",
    "stars of a repository": "get_repo",
    "repo details": "get_repo",
    "enviroment varaibles": "list_env_vars",
    "delpoy": "trigger_deploy list_deploys get_deploy",
    "restrat service": "restart_service",
    "postgress": "list_postgres",
    "bring a paused app back up": "resume_service",
    "which version is running right now": "list_deploys get_deploy",
    "change a secret value in production": "set_env_var set_secret_file",
    "connection string of the database": "get_postgres_connection_info",
    "attach storage to a service": "add_disk",
    "redirect /old to /new": "add_route",
    "who owns this account": "list_owners get_current_user",
    "open a ticket": "create_issue",
    "leave a comment on a pull request": "create_comment",
    "find repos about lua": "search_repos",
    "upload a file to the repo": "put_file",
    "retry failed ci": "rerun_workflow_run",
    "how busy is the cpu": "get_metrics",
    "share variables between services": "create_env_group link_env_group",
}
"""What people say who know neither the names nor the words of the documentation, with the pages that answer it."""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """Everything that comes with the package, and no accounts file."""
    nowhere = tmp_path_factory.mktemp("home") / "accounts.toml"
    nowhere.touch()
    with Runtime(nowhere, simulate=True, environ={}) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """What comes with the package, and the functions of twelve other services."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "accounts.toml").touch()
    names = (
        [path.name for path in sorted(DOCUMENTS.iterdir()) if path.suffix in (".json", ".yaml")]
        if DOCUMENTS.is_dir()
        else []
    )
    if not names:
        pytest.skip("the shared documents are not here")
    plugins = []
    for name in names:
        stem, _, ending = name.replace("github.", "hub.").partition(".")
        plugins.append(folder / f"{stem}.openapi.{ending}")
        plugins[-1].symlink_to(shared(name))
    with Runtime(folder / "accounts.toml", simulate=True, plugins=plugins, environ={}) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def index(runtime: Runtime) -> Search:
    own = Index.of(entries_of(runtime.catalog, Outlines(runtime.catalog)))
    names = {"integrations.render2": ["render2", "render"], "integrations.github": ["github"]}
    owners = {page: Owner([frozenset({name}) for name in each]) for page, each in names.items()}
    return Search([own], owners=owners, guides=Index.of(entries_of_guides()))


def found_in(runtime: Runtime, question: str, *, for_scripts: bool = False) -> list[str]:
    """Return the last words of the three pages that the documentation finds first."""
    return [hit.page.rpartition(".")[2] for hit in runtime.docs.find(question, limit=3, for_scripts=for_scripts)]


def pages_for(index: Search, question: str) -> list[str]:
    """Return the pages that a search shows first, typos corrected."""
    return [hit.page.rpartition(".")[2] for hit in index.find(index.corrected(question), GOOD_ENOUGH)]


def share(found: dict[str, list[str]], asked: dict[str, str], most: int) -> float:
    """Return the share of questions that have a right page among so many."""
    right = sum(not set(asked[question].split()).isdisjoint(pages[:most]) for question, pages in found.items())
    return right / len(asked)


@pytest.mark.slow
def test_plain_questions_are_answered(index: Search) -> None:
    """Of 70 questions by people who do not know the names, 95 in a hundred have the right page among three."""
    asked = {question: page for page in QUESTIONS for question in QUESTIONS[page]}
    found = {question: pages_for(index, question) for question in asked}

    assert share(found, asked, 1) >= 0.75
    assert share(found, asked, 3) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "first", "among"),
    [
        (EVERYDAY, 0.8, 0.95),
        (ASKED, 0.8, 0.95),
        (CURATED | FRESH_CURATED | WORDED_CURATED, 0.8, 0.95),
        (SHORT_CURATED, 0.7, 0.9),
    ],
)
def test_questions_about_functions_are_answered(
    runtime: Runtime, asked: dict[str, str], first: float, among: float
) -> None:
    """Most have the right page first, and nearly all have it among three, beside all operations of the services."""
    there = {name for each in ("render2", "github") for name in runtime.catalog.integration(each).functions} | {*NAMES}
    asked = {question: pages for question, pages in asked.items() if there & set(pages.split())}
    found = {question: found_in(runtime, question, for_scripts=True) for question in asked}

    assert len(asked) >= 60
    assert share(found, asked, 1) >= first
    assert share(found, asked, 3) >= among


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "first", "among"),
    [(GUIDES | FRESH_GUIDES | WORDED_GUIDES, 0.75, 0.9), (LATER, 0.6, 0.77), (SHORT_GUIDES, 0.7, 0.88)],
)
def test_questions_about_the_program_lead_to_guides(
    runtime: Runtime, asked: dict[str, str], first: float, among: float
) -> None:
    """Words such as script, plan and approval speak for a guide, also where functions have them."""
    found = {question: found_in(runtime, question) for question in asked}

    assert share(found, asked, 1) >= first
    assert share(found, asked, 3) >= among


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("permissions", "accounts"),
        ("sleep", "sandbox"),
        ("claude code setup", "mcp"),
        ("overlay", "openapi"),
        ("idempotent", "plugin_writes"),
        ("postgress", "integrations.render2.list_postgres"),
    ],
)
def test_single_words_find_what_they_name(runtime: Runtime, query: str, page: str) -> None:
    """A heading of a guide, or what is misspelt."""
    assert [hit.page for hit in runtime.docs.find(query, limit=1)] == [page]


def test_a_word_alone_finds_first_what_has_it(runtime: Runtime) -> None:
    """A service has a plan as well, but the function that gets a service does not say so."""
    found = [hit.page for hit in runtime.docs.find("plan", limit=20)]

    assert "recordings" in found[:6]
    assert "integrations.render2.get_service" not in found[: found.index("recordings")]
    assert runtime.docs.find("plan of a service", limit=1)[0].page == "integrations.render2.get_service"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("questions", "first", "among"),
    [(DOCUMENTED | FRESH_DOCUMENTED, 0.7, 0.9), (ADDRESSED, 0.7, 0.9), (PLAIN, 0.7, 0.85)],
)
def test_operations_are_found_among_those_of_twelve_services(
    documents: Runtime, questions: dict[str, str], first: float, among: float
) -> None:
    """They compete with four thousand others, and with the functions that are written in Python."""

    def page(operation: str) -> str:
        name, _, key = operation.partition(" ")
        more = documents.catalog.integration(name).functions.more
        assert more
        return f"integrations.{name}.{more.named(key)}"

    asked = {question: " ".join(map(page, keys.split(" | "))) for question, keys in questions.items()}
    found = {question: [hit.page for hit in documents.docs.find(question, limit=3)] for question in asked}

    assert share(found, asked, 1) >= first
    assert share(found, asked, 3) >= among


@pytest.mark.parametrize("page", ["render2", "github", "github.pulls"])
def test_pages_say_what_shape_results_have(runtime: Runtime, page: str) -> None:
    """Functions from a document return other shapes than those of the integration."""
    assert "the service's own JSON" in runtime.docs.read(page)


@pytest.mark.parametrize("word", ["xyzzy plugh", "quagga zebra", "flumph"])
def test_nonsense_finds_nothing(runtime: Runtime, word: str) -> None:
    """Nothing is better than what merely looks like it."""
    assert runtime.docs.search(word).startswith("No page matches")


def test_the_name_of_an_integration_leaves_out_the_others(runtime: Runtime) -> None:
    """A service that the query names is the one that is meant."""
    found = [hit.page for hit in runtime.docs.find("github list members of an organization")]

    assert {page.split(".")[1] for page in found} == {"github"}
    assert "integrations.github.orgs_list_members" in found[:3]
    addressed = [hit.page for hit in runtime.docs.find("github suspend a service")]
    assert not any(page.startswith("integrations.render2.") for page in addressed)


@pytest.mark.parametrize("question", ["write a plugin", "a website for several tenants", "exit status of the program"])
def test_scripts_find_no_guides_for_people(runtime: Runtime, question: str) -> None:
    """An agent that searches from a script is not led to pages that it cannot use."""
    found = [hit.page for hit in runtime.docs.find(question, for_scripts=True)]

    assert set(found).isdisjoint(FOR_PEOPLE)
    assert not {hit.page for hit in runtime.docs.find(question)}.isdisjoint(FOR_PEOPLE)
