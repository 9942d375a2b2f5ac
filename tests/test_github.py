"""The GitHub integration: its functions over its simulator, over real sockets, and against GitHub's own words."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import responses
from support.documents import Reply, Sent, Service
from support.loopback import Loopback

from kosmolua import Runtime
from kosmolua.calls.extra import Addition
from kosmolua.catalog.plugins import PluginFolder, Plugins, bundled_folder
from kosmolua.errors import ApiError, BadArguments, CallError, NetworkError
from kosmolua.http.transport import Transport
from kosmolua.plugin import Request, Response, Secret
from kosmolua.testing import Playground, answer, in_turn

extended = Plugins(places=[PluginFolder("bundled", bundled_folder())], entry_points=dict).load("github").integration
integration = sys.modules[extended.account.__module__].integration
Simulator = type(integration.simulate("default"))
PAGE = Path(integration.origin).parent / "github.md"
API = "https://api.github.com"
KEY = "ghp_SECRET_TOKEN"


@pytest.fixture(scope="module")
def play() -> Playground:
    """The simulated GitHub without a token: what everybody sees."""
    return Playground(integration)


@pytest.fixture
def mine() -> Playground:
    """The simulated GitHub with a token, fresh."""
    return Playground(integration, accounts={"default": {"token": KEY}})


@pytest.fixture
def github() -> Iterator[responses.RequestsMock]:
    """GitHub as ``responses`` plays it."""
    with responses.RequestsMock() as mock:
        yield mock


def live(token: str | None = KEY, **options: Any) -> Any:
    """Return what functions get from a fresh account over the real transport."""
    secret = None if token is None else Secret(token)
    return integration.account(secret, **options).open(Transport(backoff=lambda retry: 0.0).send)


def call(name: str, hub: Any = None, /, **arguments: Any) -> Any:
    """Call a function over the real transport, its arguments checked."""
    function = integration.functions[name]
    return function.handler(hub or live(), **function.bind(name, [arguments]))


# Shapes


def test_a_repository_is_flat(play: Playground) -> None:
    """Owner and licence are texts, and the texts of an empty repository are empty, not nil."""
    rocket, empty = play.run(
        "local g = app.integrations.github return g.get_repo('acme/rocket'), g.get_repo('acme/empty')"
    )

    assert rocket["owner"] == "acme"
    assert rocket["license"] == "MIT"
    assert rocket["stars"] == 1200
    assert empty["description"] == ""
    assert empty["language"] == ""
    assert empty["license"] == ""
    assert empty["homepage"] == ""


def test_every_text_can_be_joined_whatever_github_leaves_out() -> None:
    """Objects with nothing but nulls still give texts, numbers and lists."""
    nulls = dict.fromkeys(["user", "body", "labels", "assignees", "milestone", "closed_at", "comments", "title"])
    issue = {"number": 1, "state": "open", **nulls}
    commit = {"sha": "abc", "commit": {"message": None, "author": None}, "author": None}
    play = Playground(
        integration,
        {
            ("GET", "/repos/a/b"): {"full_name": "a/b", "license": None, "owner": None, "topics": None},
            ("GET", "/repos/a/b/issues"): [issue],
            ("GET", "/repos/a/b/commits"): [commit],
            ("GET", "/repos/a/b/releases"): [{"tag_name": "v1", "assets": None, "author": None}],
        },
    )
    script = """
    local g, out = app.integrations.github, {}
    local repo, issue = g.get_repo("a/b"), g.list_issues("a/b").issues[1]
    local commit, release = g.list_commits("a/b").commits[1], g.list_releases("a/b").releases[1]
    return repo.license .. repo.owner .. issue.title .. issue.body .. issue.author .. issue.milestone .. issue.closed_at
      .. commit.title .. commit.author .. commit.date .. release.name .. release.author .. release.published_at,
      #repo.topics + #issue.labels + #issue.assignees + #release.assets
    """
    assert play.run(script) == ("", 0)


def test_an_author_that_github_does_not_know_is_named_by_the_commit(play: Playground) -> None:
    """Where there is no login, the name in the commit stands in."""
    commits = play.call("github.list_commits", {"repo": "acme/rocket", "limit": 6})["commits"]

    assert commits[0]["author"] == "Octocat"
    assert commits[1]["author"] == "hopper"
    assert commits[0]["title"] == "Change number 120"
    assert "\n" in commits[0]["message"]


def test_pull_requests_are_left_out_unless_asked_for(play: Playground) -> None:
    """To GitHub they are issues."""
    own, both = (
        play.call("github.list_issues", {"repo": "acme/rocket", "all": True, "pull_requests": wanted})["issues"]
        for wanted in (False, True)
    )

    assert not any(issue["is_pull_request"] for issue in own)
    assert len(both) - len(own) == sum(issue["is_pull_request"] for issue in both) > 0


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_a_page_of_issues_is_full_while_there_are_more(play: Playground, limit: int) -> None:
    """Pull requests take no place on it, and the pages together have each issue once."""
    every = play.call("github.list_issues", {"repo": "acme/rocket", "all": True})["issues"]
    found, sizes, page = [], [], 1
    while page and len(sizes) < 3:
        part = play.call("github.list_issues", {"repo": "acme/rocket", "limit": limit, "page": page})
        found += part["issues"]
        sizes.append(len(part["issues"]))
        page = part["next_page"]

    assert found == every[: 3 * limit]
    assert all(size == limit for size in sizes[:-1])


def test_the_repositories_of_the_simulated_render_exist(play: Playground) -> None:
    """A script can compare what a service runs with the newest commit."""
    commits = play.call("github.list_commits", {"repo": "acme/checkout-api"})["commits"]

    assert commits[0]["sha"]


# Pages


@pytest.mark.parametrize(
    ("function", "given", "key", "count"),
    [
        ("list_repos", 'owner = "acme"', "repos", 45),
        ("list_issues", 'repo = "acme/rocket", state = "all", pull_requests = true', "issues", 130),
        ("list_commits", 'repo = "acme/rocket"', "commits", 120),
        ("search_repos", 'query = "tool"', "repos", 43),
    ],
)
def test_pages_one_by_one_and_all_at_once_give_the_same(
    play: Playground, function: str, given: str, key: str, count: int
) -> None:
    """Following next_page to its end yields everything once, in order."""
    script = f"""
    local one_by_one, pages, page = {{}}, 0, 1
    repeat
      local part = app.integrations.github.{function}({{ {given}, limit = 25, page = page }})
      for _, item in ipairs(part.{key}) do one_by_one[#one_by_one + 1] = item.url end
      pages, page = pages + 1, part.next_page
    until not page
    local at_once = {{}}
    for index, item in ipairs(app.integrations.github.{function}({{ {given}, all = true }}).{key}) do
      at_once[index] = item.url
    end
    return pages, one_by_one, at_once
    """
    pages, one_by_one, at_once = play.run(script)

    assert one_by_one == at_once
    assert len(set(at_once)) == count
    assert pages == -(-count // 25)


@pytest.mark.parametrize("value", ["0", "-1", "²", "many", "9" * 5000])
def test_a_page_that_is_no_number_is_the_usual_one(play: Playground, value: str) -> None:
    """As with GitHub, for which it is as if the query had no such parameter."""
    usual = play.call("github.list_repos", {"owner": "acme"})
    query = {"per_page": value, "page": value}
    assert play.call("github.list_repos", {"owner": "acme", "extra": {"query": query}}) == usual


def test_the_links_of_pages_are_followed_as_they_are(play: Playground) -> None:
    """They lead to an address that has the repository's number in place of its name."""
    play.requests.clear()
    play.call("github.list_commits", {"repo": "acme/rocket", "all": True, "before": "2026-12-31"})

    first, second = play.lines
    assert first == "GET /repos/acme/rocket/commits?until=2026-12-31&per_page=100"
    assert re.fullmatch(r"GET /repositories/\d+/commits\?until=2026-12-31&per_page=100&page=2", second)


def test_a_link_to_another_host_is_not_followed(github: responses.RequestsMock) -> None:
    """The token must not go there."""
    link = {"Link": '<https://evil.example/repos/a/b/commits?page=2>; rel="next"'}
    github.get(f"{API}/repos/a/b/commits", json=[{"sha": "1"}], headers=link)

    with pytest.raises(NetworkError, match="not fetched"):
        call("list_commits", repo="a/b", all=True)


def test_a_search_stops_where_github_stops(github: responses.RequestsMock) -> None:
    """A thousand results are ten pages, and an eleventh, which GitHub refuses, is not asked for."""
    page = {"total_count": 40_000, "items": [{"full_name": "a/b"}] * 100}
    github.get(f"{API}/search/repositories", json=page)
    found = call("search_repos", query="a", all=True)

    assert len(found["repos"]) == 1000
    assert found["total"] == 40_000
    assert len(github.calls) == 10
    assert call("search_repos", query="a", limit=100, page=10).get("next_page") is None
    assert call("search_repos", query="a", limit=100, page=9)["next_page"] == 10


@pytest.mark.parametrize("everything", [False, True])
def test_an_empty_answer_is_no_empty_list(github: responses.RequestsMock, everything: bool) -> None:
    """An answer that was cut before its body does not say that there is nothing."""
    github.get(f"{API}/repos/a/b/releases", status=200)

    with pytest.raises(NetworkError):
        call("list_releases", repo="a/b", all=everything)


def test_a_search_that_took_too_long_says_so_and_goes_on(github: responses.RequestsMock) -> None:
    """A short page is the last only where all have come; what GitHub did not get to may still be missing."""
    for names in (["a/1", "a/2"], ["a/3"], []):
        items = [{"full_name": name} for name in names]
        reply = {"total_count": 4, "incomplete_results": len(items) == 2, "items": items}
        github.get(f"{API}/search/repositories", json=reply)

    found = call("search_repos", query="a", all=True)

    assert [repo["name"] for repo in found["repos"]] == ["a/1", "a/2", "a/3"]
    assert found["total"] == 4
    assert found["incomplete"] is True
    assert len(github.calls) == 3


# Requests


def test_a_user_and_an_organisation_are_listed_by_paths_of_their_own(play: Playground) -> None:
    """What an owner is, is asked once a run."""
    play.requests.clear()
    play.run("local f = app.integrations.github.list_repos f('acme') f('octocat') f('acme')")

    assert [line.partition("?")[0] for line in play.lines] == [
        "GET /users/acme",
        "GET /orgs/acme/repos",
        "GET /users/octocat",
        "GET /users/octocat/repos",
        "GET /orgs/acme/repos",
    ]


def test_what_every_request_carries(github: responses.RequestsMock) -> None:
    """Media type, API version, token, and a user agent, without which GitHub refuses."""
    github.get(f"{API}/repos/a/b", json={"full_name": "a/b"})
    call("get_repo", repo="a/b")
    call("get_repo", live(None), repo="a/b")
    signed, anonymous = (each.request.headers for each in github.calls)

    assert signed["Accept"] == "application/vnd.github+json"
    assert signed["X-GitHub-Api-Version"] == "2022-11-28"
    assert signed["Authorization"] == f"Bearer {KEY}"
    assert signed["User-Agent"].startswith("kosmolua/")
    assert "Authorization" not in anonymous


def test_filters_are_sent_under_githubs_names(github: responses.RequestsMock) -> None:
    """Lists are joined by commas, and what is not given is not sent."""
    query = {
        "state": "all",
        "labels": "bug,help wanted",
        "assignee": "*",
        "creator": "hopper",
        "sort": "created",
        "direction": "desc",
        "per_page": "100",
    }
    github.get(f"{API}/repos/a/b/issues", json=[], match=[responses.matchers.query_param_matcher(query)])

    wanted = {"state": "all", "labels": ["bug", "help wanted"], "assignee": "*", "author": "hopper"}
    assert call("list_issues", repo="a/b", **wanted)["issues"] == []


@pytest.mark.parametrize("since", ["yesterday", "2026-99-99", "2026-01-32T00:00:00Z"])
def test_what_is_no_date_is_refused_before_anything_is_sent(since: str) -> None:
    """GitHub would answer 422."""
    with pytest.raises(BadArguments, match="since must be a string like"):
        call("list_issues", repo="a/b", since=since)


def test_an_issue_is_opened_with_what_was_given(github: responses.RequestsMock) -> None:
    """The body has no nulls."""
    github.post(f"{API}/repos/a/b/issues", status=201, json={"number": 7, "state": "open", "title": "t"})
    made = call("create_issue", repo="a/b", title="t", labels=["bug"])

    assert json.loads(github.calls[0].request.body) == {"title": "t", "labels": ["bug"]}
    assert made["number"] == 7


def test_a_renamed_repository_is_found(github: responses.RequestsMock) -> None:
    """GitHub redirects to the address by number."""
    github.get(f"{API}/repos/a/old", status=301, headers={"Location": f"{API}/repositories/5"})
    github.get(f"{API}/repositories/5", json={"full_name": "a/new"})

    assert call("get_repo", repo="a/old")["name"] == "a/new"


@pytest.mark.parametrize("repo", ["rocket", "acme/rocket/issues", "../user", "acme/", "/rocket", "a b/c"])
def test_what_is_no_repository_is_refused_before_anything_is_sent(play: Playground, repo: str) -> None:
    """No name leads to another path."""
    before = len(play.requests)
    with pytest.raises(BadArguments, match="Nothing was sent"):
        play.call("github.get_repo", {"repo": repo})
    assert len(play.requests) == before


# Accounts


def test_it_works_without_any_account(github: responses.RequestsMock) -> None:
    """The default account is implied, and is nobody; a token in the environment makes it somebody."""
    github.get(f"{API}/repos/a/b", json={"full_name": "a/b"})
    for environ in ({}, {"GITHUB_TOKEN": KEY}):
        with Runtime({}, environ=environ) as runtime:
            assert runtime.catalog.accounts("github") == ["default"]
            assert runtime.call("github.get_repo", {"repo": "a/b"})["name"] == "a/b"

    assert [each.request.headers.get("Authorization") for each in github.calls] == [None, f"Bearer {KEY}"]


def test_an_enterprise_server_is_asked_below_its_own_path() -> None:
    """Pages of its lists are followed there too, over a real socket, with the token on each request."""
    with Loopback(Simulator("default")) as server:
        account = {"token": KEY, "base_url": f"{server.url}/api/v3"}
        with Runtime({"github": {"work": account}}, environ={}) as runtime:
            outcome = runtime.run("return #app.integrations.github.list_commits{repo='acme/rocket', all=true}.commits")

            with pytest.raises(ApiError):  # this simulator has no GraphQL
                runtime.call("github.graphql", {"query": "{ viewer { login } }"})

    assert outcome.result == [120]
    *lists, graphql = server.requests
    assert all("/api/v3/repos" in request.url for request in lists)
    assert graphql.url.endswith("/api/graphql")
    assert [request.headers["Authorization"] for request in server.requests] == [f"Bearer {KEY}"] * 3


@pytest.mark.parametrize(
    ("token", "says"),
    [
        (Secret(KEY), "lovelace, 5000 of 5000 requests left this hour"),
        (None, "nobody (no token), 60 of 60 requests left this hour"),
    ],
)
def test_accounts_check_says_who_it_is(token: Secret | None, says: str) -> None:
    """A token has a user; and how much may still be asked is told, which costs nothing."""
    assert integration.identify(integration.account(token).open(Simulator("default"))) == says


def test_an_enterprise_server_without_limits_has_accounts_too() -> None:
    """It answers 404 where the rate limit would be."""

    def unlimited(request: Request) -> Response:
        if request.url.endswith("/rate_limit"):
            return Response(404, {}, b'{"message": "Rate limiting is not enabled."}')
        return Simulator("default")(request)

    hub = integration.account(Secret(KEY)).open(unlimited)
    assert integration.identify(hub) == "lovelace, without a rate limit"


# Private and public


def test_a_users_list_is_of_public_repositories(mine: Playground) -> None:
    """Also for the user of the token, whose private ones are in the list without an owner."""
    script = """
    local names = {}
    for _, repo in ipairs(app.integrations.github.list_repos({ %s all = true }).repos) do
      if repo.private then names[#names + 1] = repo.name end
    end
    return table.concat(names, " ")
    """

    assert mine.run(script % "owner = 'lovelace',") == ""
    assert mine.run(script % "") == "lovelace/secret-plans"


def test_an_archived_repository_takes_no_issue(mine: Playground) -> None:
    """It can be read, and not written to."""
    with pytest.raises(ApiError, match="read-only"):
        mine.call("github.create_issue", {"repo": "acme/tool-44", "title": "Hello"})


def test_private_repositories_need_the_token(play: Playground, mine: Playground) -> None:
    """To others they are not there at all."""
    script = "return app.integrations.github.get_repo('lovelace/secret-plans').private"

    assert mine.run(script) is True
    with pytest.raises(ApiError, match="404"):
        play.run(script)


def test_an_issue_that_was_opened_is_there(mine: Playground) -> None:
    """The simulator keeps what is written."""
    script = """
    local g = app.integrations.github
    local made = g.create_issue({ repo = "acme/rocket", title = "Door", body = "Open", labels = { "bug" } })
    local first = g.list_issues({ repo = "acme/rocket", limit = 1 }).issues[1]
    return made.number, first.number, first.author, first.labels[1], g.get_issue("acme/rocket", made.number).body
    """
    assert mine.run(script) == (131, 131, "lovelace", "bug", "Open")


# Errors


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, "Bad credentials"),
        (404, {"message": "Not Found", "status": "404"}, "Not Found"),
        (410, {"message": "Issues has been disabled in this repository."}, "disabled"),
        (
            422,
            {
                "message": "Validation Failed",
                "errors": [{"resource": "Issue", "field": "title", "code": "missing_field"}],
            },
            "missing_field",
        ),
        (403, {"message": "Resource not accessible by personal access token"}, "not accessible"),
        (500, "<html><head><title>Unicorn!</title></head></html>", "Unicorn"),
    ],
)
def test_an_error_says_what_github_says(github: responses.RequestsMock, status: int, body: Any, says: str) -> None:
    """Its status, its words, GitHub's id of the request, and no token."""
    text = body if isinstance(body, str) else json.dumps(body)
    github.post(f"{API}/repos/a/b/issues", status=status, body=text, headers={"X-GitHub-Request-Id": "F26A:0482"})

    with pytest.raises(ApiError, match=says) as caught:
        call("create_issue", repo="a/b", title="t")
    assert caught.value.code == "api_error"
    assert caught.value.status == status
    assert caught.value.request_id == "F26A:0482"
    assert "Validation Failed" not in str(caught.value) or "title" in str(caught.value)
    assert KEY not in repr(caught.value.fields())


def test_a_list_that_is_none_is_an_error_not_a_crash(github: responses.RequestsMock) -> None:
    """An object where a list belongs, and the other way round."""
    github.get(f"{API}/repos/a/b/releases", json={"message": "?"})
    github.get(f"{API}/repos/a/b", json=[])

    for name in ("list_releases", "get_repo"):
        with pytest.raises(NetworkError, match="GitHub answered with a"):
            call(name, repo="a/b")


def test_what_is_odd_inside_a_reply_is_left_out(github: responses.RequestsMock) -> None:
    """An issue and a search with next to nothing, and that of another type, can be printed all the same."""
    github.get(f"{API}/repos/a/b/issues/1", json={"labels": 7, "assignees": "x", "comments": "many"})
    github.get(f"{API}/search/repositories", json={"total_count": "9", "items": [{"topics": "lua"}]})

    issue = call("get_issue", repo="a/b", number=1)
    assert issue["number"] == 0
    assert issue["state"] == ""
    assert issue["labels"] == []
    assert issue["comments"] == 0
    assert call("search_repos", query="lua")["repos"][0]["topics"] == []


# Rate limits


def limited(remaining: int, seconds: float, **more: str) -> dict[str, str]:
    reset = str(int(time.time() + seconds))
    return {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": reset, **more}


@pytest.mark.parametrize("status", [403, 429])
def test_a_used_up_hour_is_told_at_once(github: responses.RequestsMock, status: int) -> None:
    """A wait beyond the run's end is not begun; the error says how long it would be, and nothing is sent again."""
    github.get(f"{API}/repos/a/b", status=status, json={"message": "API rate limit exceeded"}, headers=limited(0, 3000))

    started = time.monotonic()
    with pytest.raises(CallError) as caught:
        call("get_repo", repo="a/b")
    assert caught.value.code == "rate_limited"
    assert caught.value.status == status
    assert caught.value.retryable
    assert 2900 < caught.value.retry_after <= 3001
    assert len(github.calls) == 1
    assert time.monotonic() - started < 60


def test_after_the_last_request_of_an_hour_none_is_sent(github: responses.RequestsMock) -> None:
    """An answer that leaves nothing keeps the next request from being sent."""
    github.get(f"{API}/repos/a/b", json={"full_name": "a/b"}, headers=limited(0, 3000))
    hub = live()
    call("get_repo", hub, repo="a/b")

    with pytest.raises(CallError, match="was not sent") as caught:
        call("get_repo", hub, repo="a/b")
    assert caught.value.code == "rate_limited"
    assert len(github.calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "name", "given"),
    [("GET", "/repos/a/b", "get_repo", {}), ("POST", "/repos/a/b/issues", "create_issue", {"title": "t"})],
)
def test_a_short_wait_is_made(
    github: responses.RequestsMock, method: str, path: str, name: str, given: dict[str, str]
) -> None:
    """A secondary limit that asks for a second is waited for, for a write too: it was not done."""
    refusal = {"message": "You have exceeded a secondary rate limit."}
    github.add(method, API + path, status=403, json=refusal, headers=limited(50, 3000, **{"Retry-After": "1"}))
    github.add(method, API + path, json={"full_name": "a/b", "number": 1, "state": "open"})

    started = time.monotonic()
    call(name, repo="a/b", **given)
    assert len(github.calls) == 2
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_that_says_nothing_else_means_a_minute(github: responses.RequestsMock, status: int) -> None:
    """It is told from a lack of rights, and from an hour that is used up, by its sentence alone."""
    refusal = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
    github.get(f"{API}/repos/a/b", status=status, json=refusal, headers=limited(50, 3000))

    with pytest.raises(CallError) as caught:
        call("get_repo", repo="a/b")
    assert caught.value.code == "rate_limited"
    assert caught.value.retry_after == 60


# The page


def blocks(text: str) -> list[str]:
    return re.findall(r"```lua\n(.*?)```", text, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(blocks(PAGE.read_text()))))
def test_each_example_of_the_page_runs(number: int) -> None:
    """Every block ends well against the simulator and prints something."""
    mine = Playground(integration, accounts={"default": {"token": KEY}})
    mine.run(blocks(PAGE.read_text())[number])

    assert mine.outcome.output


def test_each_function_has_a_section_with_an_example_that_calls_it() -> None:
    """And no section is about a function that is not there."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE))

    assert list(sections) == list(integration.functions)
    assert all(f"{name}(" in "".join(blocks(section)) for name, section in sections.items())


def test_replies_in_turn_show_how_a_script_pages() -> None:
    """A page with a next link, then one without."""
    link = {"Link": f'<{API}/repositories/1/releases?page=2>; rel="next"'}
    replies = in_turn(answer(200, [{"tag_name": "v2"}], link), [{"tag_name": "v1"}])
    play = Playground(integration, {("GET", "/repos/a/b/releases"): replies})
    script = """
    local tags, page = {}, 1
    repeat
      local found = app.integrations.github.list_releases({ repo = "a/b", limit = 1, page = page })
      tags[#tags + 1], page = found.releases[1].tag, found.next_page
    until not page
    return table.concat(tags, " ")
    """
    assert play.run(script) == "v2 v1"


QUERY = Request("POST", API, body=b'{"query": "{ a }"}', declared_safe=True)
ISSUE = {"number": 7, "title": "T", "state": "open", "user": {"login": "ann"}, "labels": [], "assignees": []}


@pytest.fixture
def service() -> Iterator[Service]:
    """GitHub on loopback, which answers each request with an issue, or with a list of them."""

    def answer(sent: Sent) -> Reply:
        is_list = sent.method == "GET" and sent.target.partition("?")[0].endswith("/issues")
        return Reply([ISSUE] if is_list else ISSUE)

    made = Service(answer)
    yield made
    made.close()


def ran(service: Service, script: str) -> Any:
    """Return the outcome of a script whose account is at a service."""
    accounts = {"permissions": {"write": "allow"}, "here": {"token": KEY, "base_url": service.url}}
    with Runtime(accounts={"github": accounts}) as runtime:
        return runtime.run(f"local github = app.integrations.github\n{script}")


def test_extra_adds_to_a_write(service: Service) -> None:
    """Its body's keys go into the request that changes something, beside those of the function."""
    outcome = ran(service, 'github.create_issue({ repo = "a/b", title = "T", extra = { body = { milestone = 3 } } })')
    assert outcome.ok, outcome.error
    assert json.loads(service.last.body) == {"title": "T", "milestone": 3}


def test_extra_adds_to_a_read(service: Service) -> None:
    """Its query replaces that of the function, and its headers may be those of a read."""
    script = """github.list_issues({ repo = "a/b", pull_requests = true,
      extra = { query = { milestone = "3", sort = "comments" }, headers = { ["If-None-Match"] = "x" } } })"""
    outcome = ran(service, script)
    assert outcome.ok, outcome.error
    query = dict(each.split("=") for each in service.last.target.partition("?")[2].split("&"))
    assert (query["milestone"], query["sort"]) == ("3", "comments")
    assert service.last.headers["if-none-match"] == "x"


def test_another_media_type_is_returned_as_it_came(service: Service) -> None:
    """The diff of a pull request is its text, although the function reads JSON."""
    diff = b"diff --git a/x b/x\n"
    service.answer = lambda sent: Reply(diff, kind="application/vnd.github.v3.diff; charset=utf-8")
    script = """return github.get_pull_request({ repo = "a/b", number = 7,
      extra = { headers = { Accept = "application/vnd.github.diff" } } })"""
    outcome = ran(service, script)
    assert outcome.result == [diff.decode()], outcome.error
    assert service.last.headers["accept"] == "application/vnd.github.diff"


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        (
            "get_issue",
            '{ repo = "a/b", number = 7, extra = { headers = { Authorization = "x" } } }',
            "account's credential",
        ),
        (
            "get_issue",
            '{ repo = "a/b", number = 7, extra = { headers = { ["X-Foo"] = "x" } } }',
            "the function only reads",
        ),
        (
            "get_issue",
            '{ repo = "a/b", number = 7, extra = { headers = { ["X-Forwarded-For"] = "x" } } }',
            "cannot be set",
        ),
        ("create_issue", '{ repo = "a/b", title = "T", extra = { body = { _method = "DELETE" } } }', "_method"),
        ("create_issue", '{ repo = "a/b", title = "T", extra = { bodi = {} } }', "bodi"),
        ("create_issue", '{ repo = "a/b", extra = { body = { title = "T" } } }', "needs title"),
    ],
)
def test_what_extra_cannot_set_is_refused(service: Service, name: str, given: str, said: str) -> None:
    """No header of the transport, the account or a proxy, and no override of the method: nothing is sent."""
    outcome = ran(service, f"local _, err = pcall(github.{name}, {given}); return err")
    assert outcome.result[0]["code"] == "bad_arguments"
    assert said in outcome.result[0]["message"]
    assert not service.sent


@pytest.mark.parametrize(
    ("request_", "extra", "said"),
    [
        (Request("GET", API, headers={"X-Key": Secret(KEY)}), {"headers": {"x_key": "mine"}}, "credential"),
        (Request("GET", API, (("key", Secret(KEY)),)), {"query": {"key": "mine"}}, "credential"),
        (QUERY, {"body": {"query": "mutation { a }"}}, "only reads"),
        (QUERY, {"query": {"query": "mutation { a }"}}, "only reads"),
        (QUERY, {"body": [1]}, "only reads"),
        (replace(QUERY, body=b"a=1"), {"body": {"b": 2}}, "no JSON"),
    ],
)
def test_extra_replaces_neither_the_credential_nor_what_is_read(
    request_: Request, extra: dict[str, Any], said: str
) -> None:
    """Whatever the header or the parameter of the key is called, and although the read is sent by POST."""
    with pytest.raises(BadArguments, match=said):
        Addition(extra, is_read=True).added_to(request_)


def test_the_check_knows_extra(service: Service) -> None:
    """It is an argument of every function of github, and of no library's."""
    with Runtime(simulate=True, environ={}) as runtime:
        found = runtime.checker().check('app.integrations.github.get_repo({ repo = "a/b", extra = {}, extras = 1 })')
    assert [("extras" in each.message) for each in found.errors] == [True]
