"""OpenAPI documents as integrations: what a call of a real document sends, byte for byte, over a real connection."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from support.documents import Reply, Sent, live, serving, shared, small

from kosmolua import CallError, Runtime
from kosmolua.errors import BadArguments, ConfigError, NotConfigured
from kosmolua.openapi import importing
from kosmolua.openapi.importing import Wishes

TWILIO = f"AC{0:032}"
"""An account's id."""


def one(document: Path, name: str, function: str, args: dict[str, Any], **fields: Any) -> Sent:
    """Make one call and return the request that it was."""
    with serving() as service, live(document, name, service, **fields) as runtime:
        runtime.call(f"{name}.{function}", args)
        return service.last


def refused(document: Path, name: str, function: str, args: dict[str, Any], **fields: Any) -> CallError:
    """Make one call that is refused before anything is sent, and return the error."""
    with serving() as service, live(document, name, service, **fields) as runtime:
        with pytest.raises(CallError) as caught:
            runtime.call(f"{name}.{function}", args)
        assert service.sent == []
    return caught.value


@pytest.mark.slow
def test_stripe_nests_tables_and_lists_in_a_form() -> None:
    """Nested tables have their keys in brackets, lists their numbers."""
    args = {"name": "Ann", "address": {"city": "Bern"}, "metadata": {"a": "1"}, "preferred_locales": ["de", "fr"]}
    sent = one(shared("stripe.json"), "stripe", "post_customers", args, api_key="sk_test_made_up")

    assert sent.line == "POST /v1/customers"
    assert sorted(sent.body.split(b"&")) == sorted(
        b"name=Ann&address%5Bcity%5D=Bern&metadata%5Ba%5D=1&preferred_locales%5B0%5D=de"
        b"&preferred_locales%5B1%5D=fr".split(b"&")
    )
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent.headers["authorization"] == "Basic " + base64.b64encode(b"sk_test_made_up:").decode()


@pytest.mark.slow
def test_stripe_reads_without_a_body_and_walks_by_the_last_id() -> None:
    """A GET has no body although the document declares an empty form; all pages are walked while there are more."""

    def answer(sent: Sent) -> Reply:
        first = "starting_after" not in sent.target
        items = [{"id": "cus_1"}, {"id": "cus_2"}] if first else [{"id": "cus_3"}]
        return Reply({"object": "list", "data": items, "has_more": first, "url": "/v1/customers"})

    with serving(answer) as service, live(shared("stripe.json"), "stripe", service, api_key="sk_made_up") as runtime:
        runtime.call("stripe.get_customers", {"created": {"gte": 1}, "expand": ["data.source"], "limit": 2})
        assert service.last.line == ("GET /v1/customers?created%5Bgte%5D=1&expand%5B0%5D=data.source&limit=2")
        assert service.last.body == b""
        page = runtime.call("stripe.get_customers", {"all": True, "limit": 2})

    assert [each["id"] for each in page["data"]] == ["cus_1", "cus_2", "cus_3"]
    assert page["has_more"] is False
    assert service.lines[1:] == ["GET /v1/customers?limit=2", "GET /v1/customers?limit=2&starting_after=cus_2"]


@pytest.mark.slow
def test_stripe_walks_a_search_by_a_token_that_is_called_page() -> None:
    """``page`` is no number there: it takes ``next_page`` of the page before."""

    def answer(sent: Sent) -> Reply:
        is_last = "page=tok" in sent.target
        return Reply({"data": [{"id": "c2" if is_last else "c1"}], "next_page": None if is_last else "tok"})

    with serving(answer) as service, live(shared("stripe.json"), "stripe", service, api_key="made-up-1") as runtime:
        found = runtime.call("stripe.get_customers_search", {"query": "a", "all": True})
    assert [each["id"] for each in found["data"]] == ["c1", "c2"]


@pytest.mark.slow
def test_twilio_has_three_arguments_for_one_time() -> None:
    """Names that are equal once cleaned are told apart; calls may use the service's own spelling too."""
    document, fields = shared("twilio.json"), {"username": TWILIO, "password": "made-up-1"}
    args = {"account_sid": TWILIO, "start_time_lt": "2026-01-01"}
    for given in (args, {"AccountSid": TWILIO, "StartTime<": "2026-01-01"}):
        sent = one(document, "twilio", "list_call", given, **fields)
        assert sent.line == f"GET /2010-04-01/Accounts/{TWILIO}/Calls.json?StartTime%3C=2026-01-01"
        assert sent.headers["authorization"] == "Basic " + base64.b64encode(f"{TWILIO}:made-up-1".encode()).decode()
    with Runtime(None, simulate=True, plugins=[document], environ={}) as runtime:
        names = {each.name for each in runtime.catalog.find("twilio.list_call").parameters}
    assert {"start_time", "start_time_lt", "start_time_gt"} <= names


@pytest.mark.slow
def test_twilio_follows_the_relative_address_of_the_next_page() -> None:
    """The next page's address is joined to that of the page before."""

    def answer(sent: Sent) -> Reply:
        first = "Page=1" not in sent.target
        following = f"/2010-04-01/Accounts/{TWILIO}/Calls.json?Page=1&PageToken=PA1" if first else None
        return Reply({"calls": [{"sid": "CA1" if first else "CA2"}], "next_page_uri": following})

    fields = {"username": TWILIO, "password": "made-up-1"}
    with serving(answer) as service, live(shared("twilio.json"), "twilio", service, **fields) as runtime:
        page = runtime.call("twilio.list_call", {"account_sid": TWILIO, "all": True})

    assert [each["sid"] for each in page["calls"]] == ["CA1", "CA2"]
    assert service.lines[1] == f"GET /2010-04-01/Accounts/{TWILIO}/Calls.json?Page=1&PageToken=PA1"


def github(folder: Path) -> Path:
    """Return GitHub's document under a name of its own."""
    path = folder / "hub.openapi.json"
    path.symlink_to(shared("github.json"))
    return path


@pytest.mark.slow
def test_github_keeps_a_value_in_its_segment(tmp_path: Path) -> None:
    """A slash in a value is quoted, and nothing leads out of the path."""
    document = github(tmp_path)
    sent = one(document, "hub", "repos_get_content", {"owner": "o", "repo": "r", "path": "docs/a b.md"})
    assert sent.line == "GET /repos/o/r/contents/docs%2Fa%20b.md"
    error = refused(document, "hub", "repos_get_content", {"owner": "..", "repo": "r", "path": "a"})
    assert isinstance(error, BadArguments)


@pytest.mark.slow
def test_github_follows_links(tmp_path: Path) -> None:
    """The Link header leads from page to page, and a list stays a list."""

    def answer(sent: Sent) -> Reply:
        if "page=2" in sent.target:
            return Reply([{"number": 3}])
        link = f'<http://{sent.headers["host"]}/repos/o/r/issues?per_page=100&page=2>; rel="next"'
        return Reply([{"number": 1}, {"number": 2}], headers={"Link": link})

    with serving(answer) as service, live(github(tmp_path), "hub", service) as runtime:
        issues = runtime.call("hub.issues_list_for_repo", {"owner": "o", "repo": "r", "all": True})

    assert [each["number"] for each in issues] == [1, 2, 3]


@pytest.mark.slow
def test_netbox_sends_lists_as_they_are() -> None:
    """A body that is a list is one argument, also if it is empty; the token has its prefix."""
    document = shared("netbox.yaml")
    sent = one(document, "netbox", "dcim_sites_bulk_update", {"body": [{"id": 1, "name": "a"}]}, token="made-up-1")
    assert sent.line == "PUT /api/dcim/sites/"
    assert sent.body == b'[{"id":1,"name":"a"}]'
    assert sent.headers["authorization"] == "Token made-up-1"
    assert one(document, "netbox", "dcim_sites_bulk_update", {"body": {}}, token="made-up-1").body == b"[]"


@pytest.mark.slow
def test_netbox_suggests_one_of_284_parameters() -> None:
    """Every parameter can be given, and a misspelt one is told."""
    document = shared("netbox.yaml")
    assert (
        "did you mean 'name'"
        in refused(document, "netbox", "dcim_devices_list", {"naem": ["x"]}, token="made-up-1").message
    )
    sent = one(document, "netbox", "dcim_devices_list", {"name": ["x", "y"], "asset_tag__n": ["z"]}, token="made-up-1")
    assert sorted(sent.target.partition("?")[2].split("&")) == ["asset_tag__n=z", "name=x", "name=y"]


@pytest.mark.slow
def test_discord_sends_json_and_with_a_file_a_multipart_form() -> None:
    """What is given decides between the media types; an id may be a number, whose digits are sent."""
    document, fields = shared("discord.json"), {"bot_token": "made-up-token"}
    sent = one(document, "discord", "create_message", {"channel_id": 1234567890123456789, "content": "hi"}, **fields)
    assert sent.line == "POST /channels/1234567890123456789/messages"
    assert sent.body == b'{"content":"hi"}'
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["authorization"] == "Bot made-up-token"
    file = {"base64": base64.b64encode(b"\x00\x01").decode(), "filename": "a.bin"}
    sent = one(document, "discord", "create_message", {"channel_id": "1", "content": "hi", "files[0]": file}, **fields)
    boundary = sent.headers["content-type"].removeprefix("multipart/form-data; boundary=")
    assert (
        sent.body
        == (
            f'--{boundary}\r\nContent-Disposition: form-data; name="content"\r\n\r\nhi\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="files[0]"; filename="a.bin"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n\x00\x01\r\n"
            f"--{boundary}--\r\n"
        ).encode()
    )


@pytest.mark.slow
def test_openai_uploads_a_file_and_keeps_the_query_of_a_path() -> None:
    """A file is a part with its name; ``?beta=true`` of a path is sent."""
    document, fields = shared("openai.yaml"), {"token": "sk-made-up"}
    file = {"base64": base64.b64encode(b"{}\n").decode(), "filename": "a.jsonl"}
    sent = one(document, "openai", "create_file", {"purpose": "batch", "file": file}, **fields)
    boundary = sent.headers["content-type"].removeprefix("multipart/form-data; boundary=")
    parts = sent.body.split(f"--{boundary}".encode())
    head = b'\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n'
    assert head + b"Content-Type: application/octet-stream\r\n\r\n{}\n\r\n" in parts
    assert b'\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n' in parts
    with Runtime(None, simulate=True, plugins=[document], environ={}) as runtime:
        more = runtime.catalog.integration("openai").functions.more
        fixed = more.named("POST /responses?beta=true")
    assert one(document, "openai", fixed, {"model": "m", "input": "x"}, **fields).line == "POST /responses?beta=true"


@pytest.mark.slow
def test_openai_reads_a_stream_to_its_end() -> None:
    """A stream of events is its text."""
    stream = b'data: {"a":1}\n\ndata: [DONE]\n\n'
    document = shared("openai.yaml")
    args = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with (
        serving(lambda sent: Reply(stream, kind="text/event-stream")) as service,
        live(document, "openai", service, token="sk-made-up") as runtime,
    ):
        assert runtime.call("openai.create_chat_completion", args) == stream.decode()
    assert json.loads(service.last.body) == args


@pytest.mark.slow
def test_notion_sends_token_and_version_although_the_operation_says_neither() -> None:
    """The credential goes with each operation, and a header of all is the account's."""
    document = shared("notion.json")
    sent = one(document, "notion", "retrieve_a_page", {"page_id": "p"}, token="ntn-made-up")
    assert sent.line == "GET /v1/pages/p"
    assert sent.headers["authorization"] == "Bearer ntn-made-up"
    assert sent.headers["notion-version"] == "2025-09-03"
    sent = one(
        document, "notion", "retrieve_a_page", {"page_id": "p"}, token="ntn-made-up", notion_version="2022-06-28"
    )
    assert sent.headers["notion-version"] == "2022-06-28"


SLACK = """
[errors]
failed = "ok == false"
message = "error"
"""


@pytest.mark.slow
def test_slack_says_no_with_a_status_of_200(tmp_path: Path) -> None:
    """The overlay makes an error of it, in the service's words; without it the script gets the table."""
    no = {"ok": False, "error": "channel_not_found"}
    args = {"channel": "C", "text": "x"}
    for overlay in (SLACK, ""):
        document = tmp_path / "slack.openapi.json"
        document.unlink(missing_ok=True)
        document.symlink_to(shared("slack.json"))
        (tmp_path / "slack.openapi.toml").write_text(overlay, encoding="utf-8")
        with (
            serving(lambda sent: Reply(no)) as service,
            live(document, "slack", service, "/api", token="xoxb-made-up") as runtime,
        ):
            if overlay:
                with pytest.raises(CallError, match="channel_not_found") as caught:
                    runtime.call("slack.chat_post_message", args)
                assert caught.value.code == "api_error"
                assert caught.value.body == no
            else:
                assert runtime.call("slack.chat_post_message", args) == no
            names = {each.name for each in runtime.catalog.find("slack.chat_post_message").parameters}
        assert "token" not in names
        assert service.last.line == "POST /api/chat.postMessage"
        assert service.last.body == b"channel=C&text=x"
        assert service.last.headers["authorization"] == "Bearer xoxb-made-up"


@pytest.mark.slow
def test_slack_walks_by_the_cursor_in_its_metadata() -> None:
    """The next cursor stands one level below."""

    def answer(sent: Sent) -> Reply:
        first = "cursor=" not in sent.target
        cursor = {"next_cursor": "c2" if first else ""}
        return Reply({"ok": True, "members": [{"id": "U1" if first else "U2"}], "response_metadata": cursor})

    with (
        serving(answer) as service,
        live(shared("slack.json"), "slack", service, "/api", token="xoxb-made-up") as runtime,
    ):
        page = runtime.call("slack.users_list", {"all": True})

    assert [each["id"] for each in page["members"]] == ["U1", "U2"]
    assert service.lines == ["GET /api/users.list", "GET /api/users.list?cursor=c2"]


@pytest.mark.slow
def test_datadog_needs_both_keys_and_has_a_site() -> None:
    """Half a credential names what is missing; an unknown site is refused with those there are."""
    document = shared("datadog.yaml")
    half, whole = {"api_key": "made-up-1"}, {"api_key": "made-up-1", "app_key": "made-up-2"}
    sites = r"must be one of 'datadoghq.com'.*'datadoghq.eu'"
    for account, said in ((half, "app_key"), ({**whole, "site": "example.com"}, sites)):
        with (
            Runtime({"datadog": {"default": account}}, plugins=[document], environ={}) as runtime,
            pytest.raises((NotConfigured, ConfigError), match=said),
        ):
            runtime.call("datadog.list_dashboards")


@pytest.mark.slow
def test_datadog_walks_by_offset_as_its_extension_says() -> None:
    """``x-pagination`` names the parameters; each page is a request."""

    def answer(sent: Sent) -> Reply:
        first = "start=" not in sent.target
        return Reply({"dashboards": [{"id": str(n)} for n in (range(2) if first else range(1))]})

    keys = {"api_key": "made-up-1", "app_key": "made-up-2"}
    with serving(answer) as service, live(shared("datadog.yaml"), "datadog", service, **keys) as runtime:
        page = runtime.call("datadog.list_dashboards", {"all": True, "count": 2})

    assert len(page["dashboards"]) == 3
    assert service.lines == ["GET /api/v1/dashboard?count=2", "GET /api/v1/dashboard?count=2&start=2"]
    assert service.last.headers["dd-api-key"] == "made-up-1"
    assert service.last.headers["dd-application-key"] == "made-up-2"


@pytest.mark.slow
def test_docker_takes_words_of_lua_bytes_and_empty_answers() -> None:
    """``until`` is ``until_`` or itself; a tar goes as bytes; an empty answer says its status."""
    document = shared("docker.yaml")
    for name in ("until_", "until"):
        sent = one(document, "docker", "container_logs", {"id": "x", name: "1"})
        assert sent.line == "GET /containers/x/logs?until=1"
    tar = base64.b64encode(b"\x1f\x8b\x00tar").decode()
    sent = one(document, "docker", "image_build", {"body": {"base64": tar}})
    assert sent.line == "POST /build"
    assert sent.body == b"\x1f\x8b\x00tar"
    with serving(lambda sent: Reply(status=204, kind="")) as service, live(document, "docker", service) as runtime:
        assert runtime.call("docker.container_start", {"id": "x"}) == {"status": 204}
    tar_of = serving(lambda sent: Reply(b"\x00\x01\x02", kind="application/x-tar"))
    with tar_of as service, live(document, "docker", service) as runtime:
        value = runtime.call("docker.container_export", {"id": "x"})
    assert value == {"content_type": "application/x-tar", "base64": "AAEC", "bytes": 3}


def answers(schema: Any = None) -> dict[str, Any]:
    """Return the responses of an operation that answers JSON."""
    return {"200": {"description": "ok", "content": {"application/json": {"schema": schema or {}}}}}


def query(name: str, about: str = "") -> dict[str, Any]:
    """Return a parameter of a query."""
    return {"name": name, "in": "query", "schema": {"type": "string"}, "description": about}


SLOT = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}


@pytest.mark.slow
def test_a_patch_chooses_its_media_type_and_a_connection_writes(tmp_path: Path) -> None:
    """As in Kubernetes: a table is a merge patch, a list a JSON Patch, and a GET that connects is no read."""
    kinds = ["application/json-patch+json", "application/merge-patch+json"]
    whole = {"type": "object", "properties": {"$ref": {"type": "string"}, "spec": {"type": "object"}}}
    path = {"name": "path", "in": "path", "required": True, "schema": {"type": "string"}}
    document = small(
        tmp_path,
        {
            "paths": {
                "/pods/{name}": {
                    "parameters": [SLOT],
                    "patch": {
                        "operationId": "patchCoreV1NamespacedPod",
                        "requestBody": {"required": True, "content": {each: {"schema": whole} for each in kinds}},
                        "responses": answers(),
                    },
                },
                "/pods/{name}/exec": {
                    "parameters": [SLOT],
                    "get": {
                        "operationId": "connectCoreV1GetNamespacedPodExec",
                        "x-kubernetes-action": "connect",
                        "responses": answers(),
                    },
                },
                "/pods/{name}/proxy/{path}": {
                    "parameters": [SLOT, path, {**path, "in": "query", "required": False}],
                    "get": {"operationId": "proxy", "responses": answers()},
                },
            },
            "components": {
                "securitySchemes": {"BearerToken": {"type": "apiKey", "in": "header", "name": "authorization"}}
            },
        },
        "pods",
    )
    fields = {"bearer_token": "made-up-1"}
    function = "patch_core_v1_namespaced_pod"
    sent = one(document, "pods", function, {"name": "a", "spec": {"x": 1}, "$ref": "r"}, **fields)
    assert sent.headers["content-type"] == kinds[1]
    assert json.loads(sent.body) == {"spec": {"x": 1}, "$ref": "r"}
    assert sent.headers["authorization"] == "Bearer made-up-1"
    change = {"op": "remove", "path": "/spec"}
    sent = one(document, "pods", function, {"name": "a", "extra": {"body": [change]}}, **fields)
    assert (sent.headers["content-type"], json.loads(sent.body)) == (kinds[0], [change])
    wrong = refused(document, "pods", function, {"name": "a", "spec": {}, "content_type": kinds[0]}, **fields)
    assert "is a list of changes, not a table" in wrong.message
    sent = one(document, "pods", "proxy", {"name": "a", "path": "x", "path_query": "y"}, **fields)
    assert sent.line == "GET /pods/a/proxy/x?path=y"
    with Runtime(None, simulate=True, plugins=[document], environ={}) as runtime:
        assert runtime.catalog.find("pods.connect_core_v1_get_namespaced_pod_exec").effect == "write"


NDJSON = """
[functions.bulk]
encode = "ndjson"
"""


def test_a_search_sends_the_body_of_its_get(tmp_path: Path) -> None:
    """As in Elasticsearch: a GET has a body where the document means it; lines of JSON are the overlay's word."""
    body = {
        "content": {"application/json": {"schema": {"type": "object", "properties": {"query": {"type": "object"}}}}}
    }
    index = {"name": "index", "in": "path", "required": True, "schema": {"type": "string"}}
    lines = {"required": True, "content": {"application/json": {"schema": {"type": "array", "items": {}}}}}
    paths = {
        "/{index}/_search": {
            "get": {"operationId": "search", "parameters": [index], "requestBody": body, "responses": answers()}
        },
        "/_bulk": {"post": {"operationId": "bulk", "requestBody": lines, "responses": answers()}},
    }
    document = small(tmp_path, {"paths": paths}, "elastic", NDJSON)
    sent = one(document, "elastic", "search", {"index": "i", "query": {"match_all": {}}})
    assert sent.line == "GET /i/_search"
    assert sent.body == b'{"query":{"match_all":{}}}'
    sent = one(document, "elastic", "bulk", {"body": [{"index": {}}, {"a": 1}]})
    assert sent.body == b'{"index":{}}\n{"a":1}\n'
    assert sent.headers["content-type"] == "application/x-ndjson"


def test_json_api_has_brackets_revisions_and_a_kind_of_its_own(tmp_path: Path) -> None:
    """As in Klaviyo and Asana: ``page[size]`` is ``page_size``, a header of all is the account's, ``data`` is kept."""
    kind = "application/vnd.api+json"
    revision = {"name": "revision", "in": "header", "required": True, "schema": {"default": "2026-01-15"}}
    page = {
        "type": "object",
        "properties": {
            "data": {"type": "array"},
            "links": {"type": "object", "properties": {"next": {"type": "string", "format": "uri"}}},
        },
    }
    size = {"name": "page[size]", "in": "query", "schema": {"type": "integer"}}
    matching = {"name": "filter", "in": "query", "schema": {"type": "string"}}
    task = {"type": "object", "required": ["data"], "properties": {"data": {"type": "object"}}}
    slot = {"name": "task_gid", "in": "path", "required": True, "schema": {"type": "string"}}
    good = {"200": {"description": "ok", "content": {kind: {"schema": page}}}}
    update = {"content": {kind: {"schema": task}}, "required": True}
    paths = {
        "/profiles": {
            "get": {"operationId": "getProfiles", "parameters": [revision, size, matching], "responses": good}
        },
        "/tasks/{task_gid}": {
            "put": {
                "operationId": "updateTask",
                "parameters": [revision, slot],
                "requestBody": update,
                "responses": good,
            },
            "get": {"operationId": "getTask", "parameters": [revision, slot], "responses": good},
        },
    }

    def answer(sent: Sent) -> Reply:
        after = f"http://{sent.headers['host']}/profiles?page%5Bcursor%5D=2"
        links = {} if "cursor" in sent.target else {"next": after}
        return Reply({"data": [{"id": "1"}], "links": links}, kind=kind)

    with serving(answer) as service, live(small(tmp_path, {"paths": paths}, "klaviyo"), "klaviyo", service) as runtime:
        runtime.call("klaviyo.get_profiles", {"page_size": 5, "filter": 'equals(a,"b")'})
        assert service.last.line == "GET /profiles?page%5Bsize%5D=5&filter=equals%28a%2C%22b%22%29"
        assert service.last.headers["revision"] == "2026-01-15"
        assert service.last.headers["accept"] == kind
        assert len(runtime.call("klaviyo.get_profiles", {"all": True})["data"]) == 2
        runtime.call("klaviyo.update_task", {"task_gid": "1", "data": {"name": "x"}})
    assert service.last.line == "PUT /tasks/1"
    assert service.last.body == b'{"data":{"name":"x"}}'
    assert service.last.headers["content-type"] == kind


@pytest.mark.slow
def test_okta_is_reached_by_its_domain_and_walked_by_a_header_that_prose_names(tmp_path: Path) -> None:
    """A broken reference widens to anything with one note, and a property may be called ``$ref``."""
    about = "An opaque cursor, obtained from the `Link` response header."
    users = {"type": "array", "items": {"$ref": "#/components/schemas/Gone"}}
    node = {"type": "object", "properties": {"$ref": {"type": "string"}, "gone": {"$ref": "#/components/schemas/Gone"}}}
    listing = {"operationId": "listUsers", "parameters": [query("after", about), query("limit")]}
    replacing = {"operationId": "replaceUser", "requestBody": {"content": {"application/json": {"schema": node}}}}
    document = small(
        tmp_path,
        {
            "servers": [{"url": "https://{domain}", "variables": {"domain": {"default": "subdomain.okta.example"}}}],
            "paths": {
                "/api/v1/users": {"get": {**listing, "responses": answers(users)}},
                "/api/v1/users/{name}": {"parameters": [SLOT], "put": {**replacing, "responses": answers()}},
            },
            "components": {
                "securitySchemes": {
                    "apiToken": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "Authorization",
                        "description": "The value prefixed with SSWS: `Authorization: SSWS {API Token}`",
                    }
                }
            },
        },
        "okta",
    )

    def answer(sent: Sent) -> Reply:
        if "after=" in sent.target:
            return Reply([{"id": "b"}])
        link = f'<http://{sent.headers["host"]}/api/v1/users?after=x>; rel="next"'
        return Reply([{"id": "a"}], headers={"Link": link})

    with serving(answer) as service, live(document, "okta", service, api_token="made-up-1") as runtime:
        assert runtime.call("okta.list_users", {"all": True}) == [{"id": "a"}, {"id": "b"}]
        assert service.last.headers["authorization"] == "SSWS made-up-1"
        runtime.call("okta.replace_user", {"name": "a", "$ref": "r", "gone": [1]})
        assert json.loads(service.last.body) == {"$ref": "r", "gone": [1]}
    notes = importing.prepare(importing.fetch(str(document), bytes), Wishes("okta")).result.notes
    assert [note for note in notes if "Gone" in note] == notes
    assert len(notes) == 1


@pytest.mark.slow
def test_a_token_inside_the_address_is_shown_nowhere(tmp_path: Path) -> None:
    """As in Telegram: names come from paths, and no message, journal or error has the token."""
    text = {
        "type": "object",
        "required": ["chat_id"],
        "properties": {"chat_id": {"type": "integer"}, "text": {"type": "string"}},
    }
    body = {"required": True, "content": {"application/json": {"schema": text}}}
    document = small(
        tmp_path,
        {
            "servers": [{"url": "https://api.chat.example/bot{token}", "variables": {"token": {"default": ""}}}],
            "paths": {"/sendMessage": {"post": {"requestBody": body, "responses": answers()}}},
        },
        "chat",
    )
    journal = tmp_path / "journal.jsonl"
    token = "123456:made-up-token"
    with serving() as service:
        accounts = {"chat": {"default": {"token": token, "base_url": service.url + "/bot{token}"}}}
        with Runtime(accounts, plugins=[document], yes=True, environ={}, journal=journal) as runtime:
            runtime.call("chat.send_message", {"chat_id": 1, "text": "x"})
            assert service.last.line == f"POST /bot{token}/sendMessage"
    accounts["chat"]["default"]["base_url"] = "http://127.0.0.1:1/bot{token}"
    with (
        Runtime(accounts, plugins=[document], yes=True, environ={}, journal=journal) as runtime,
        pytest.raises(CallError) as caught,
    ):
        runtime.call("chat.send_message", {"chat_id": 1, "text": "x"})
    assert "bot{token}/sendMessage" in caught.value.message
    assert token not in f"{caught.value} {caught.value.report()} {journal.read_text()}"
