"""How services split their lists into pages: replies as they give them, for the same few items."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

Query: TypeAlias = "dict[str, str]"
Page: TypeAlias = "tuple[Any, dict[str, str]]"
"""The body of a reply, and its headers."""
Pager = Callable[[Query], Page]

PETS: list[dict[str, Any]] = [{"id": f"p{number}"} for number in range(7)]
"""The items of each list, which come two at a time, however many are asked for."""
BASE = "https://api.test"
HERE = f"{BASE}/pets"


class Way(NamedTuple):
    """How one service pages.

    Args:
        parameters: The query as the document has it: names, types and more, ``limit:integer; page:integer:minimum=0``.
        keys: The keys of the declared reply: ``data[]`` is a list, ``meta.next:string`` text in a table; without any,
            the reply is a list.
        pager: Makes the reply of the query.
        host: The service's host; empty for one that is not known.
    """

    parameters: str
    keys: str
    pager: Pager
    host: str = ""


def _said(reply: object) -> Page:
    return reply if isinstance(reply, tuple) else (reply, {})


def counting(make: Callable[[list[dict[str, Any]], int | None], Any], parameter: str, mark: str = "") -> Pager:
    """Return a pager that takes the place of the first item in a parameter; after a mark, it is a token.

    ``make`` makes the reply of the items, and of the place of the next page's first one, or None.
    """

    def page(query: Query) -> Page:
        start = int(query.get(parameter, "0").removeprefix(mark))
        following = start + 2 if start + 2 < len(PETS) else None
        return _said(make(PETS[start : start + 2], following))

    return page


def after_last(make: Callable[[list[dict[str, Any]], bool], Any], parameter: str) -> Pager:
    """Return a pager that takes the id of the last item; ``make`` also gets whether there are more."""

    def page(query: Query) -> Page:
        start = int(query[parameter][1:]) + 1 if parameter in query else 0
        return _said(make(PETS[start : start + 2], start + 2 < len(PETS)))

    return page


def numbered(make: Callable[[list[dict[str, Any]], int], Any], parameter: str = "page", first: int = 1) -> Pager:
    """Return a pager that counts pages, of which there are four; ``make`` also gets the number."""

    def page(query: Query) -> Page:
        number = int(query.get(parameter, first))
        return _said(make(PETS[2 * (number - first) : 2 * (number - first) + 2], number))

    return page


def link(query: str, more: object = True, also: str = "") -> dict[str, str]:
    """Return the header that leads to the next page."""
    return {"Link": f'<{HERE}?{query}>; rel="next"{also}'} if more else {}


def _more(number: int) -> int | None:
    """Return the number of the next page, or None."""
    return number + 1 if number < 4 else None


def _id(some: list[dict[str, Any]], place: int = -1) -> Any:
    return some[place]["id"] if some else None


VENDORS: dict[str, Way] = {
    "adyen": Way(
        "pageNumber:integer; pageSize:integer",
        "_links itemsTotal:integer pagesTotal:integer data[]",
        numbered(
            lambda some, page: {
                "_links": {"next": {"href": f"{HERE}?pageNumber={page + 1}"}} if page < 4 else {},
                "itemsTotal": 7,
                "pagesTotal": 4,
                "data": some,
            },
            "pageNumber",
        ),
    ),
    "airtable": Way(
        "offset:string; pageSize:integer",
        "records[] offset:string",
        counting(lambda some, at: {"records": some, **({"offset": f"itr/{at}"} if at else {})}, "offset", "itr/"),
        "api.airtable.com",
    ),
    "anthropic": Way(
        "before_id:string; after_id:string; limit:integer:default=20",
        "data[] has_more:boolean first_id:string last_id:string",
        after_last(
            lambda some, more: {"data": some, "has_more": more, "first_id": _id(some, 0), "last_id": _id(some)},
            "after_id",
        ),
        "api.anthropic.com",
    ),
    "asana": Way(
        "limit:integer; offset:string:about=Offset token.",
        "data[] next_page",
        counting(lambda some, at: {"data": some, "next_page": at and {"offset": f"t{at}"}}, "offset", "t"),
        "app.asana.com",
    ),
    "auth0": Way(
        "page:integer:minimum=0; per_page:integer:minimum=0; include_totals:boolean",
        "",
        numbered(lambda some, page: some, first=0),
        "acme.eu.auth0.com",
    ),
    "azure devops": Way(
        "$top:integer; continuationToken:string",
        "count:integer value[]",
        counting(
            lambda some, at: ({"count": len(some), "value": some}, {"x-ms-continuationtoken": f"c{at}"} if at else {}),
            "continuationToken",
            "c",
        ),
    ),
    "bitbucket": Way(
        "q:string; sort:string",
        "values[] next:string:format=uri size:integer page:integer pagelen:integer",
        numbered(
            lambda some, page: {
                "values": some,
                "page": page,
                "pagelen": 2,
                "size": 7,
                **({"next": f"{HERE}?page={page + 1}"} if page < 4 else {}),
            }
        ),
        "api.bitbucket.org",
    ),
    "box": Way(
        "marker:string; limit:integer; usemarker:boolean; offset:integer:default=0",
        "entries[] limit:integer next_marker:string",
        counting(lambda some, at: {"entries": some, "limit": 100, "next_marker": at and f"m{at}"}, "marker", "m"),
        "api.box.com",
    ),
    "calendly": Way(
        "count:integer:default=20; page_token:string",
        "collection[] pagination.count:integer pagination.next_page:string pagination.next_page_token:string",
        counting(
            lambda some, at: {
                "collection": some,
                "pagination": {
                    "count": len(some),
                    "next_page": at and f"{HERE}?page_token=t{at}",
                    "next_page_token": at and f"t{at}",
                },
            },
            "page_token",
            "t",
        ),
        "api.calendly.com",
    ),
    "circleci": Way(
        "page-token:string",
        "items[] next_page_token:string",
        counting(lambda some, at: {"items": some, "next_page_token": at and f"A{at}"}, "page-token", "A"),
        "circleci.com",
    ),
    "close": Way(
        "_skip:integer; _limit:integer",
        "has_more:boolean total_results:integer data[]",
        counting(lambda some, at: {"has_more": at is not None, "total_results": 7, "data": some}, "_skip"),
        "api.close.com",
    ),
    "cloudflare": Way(
        "page:integer:default=1; per_page:integer:default=2",
        "errors[] messages[] result[] result_info",
        numbered(
            lambda some, page: {
                "errors": [],
                "messages": [],
                "result": some,
                "result_info": {"page": page, "per_page": 2, "count": len(some), "total_count": 7},
            }
        ),
        "api.cloudflare.com",
    ),
    "coinbase": Way(
        "limit:integer; order:string; starting_after:string; ending_before:string",
        "pagination.next_uri:string pagination.limit:integer data[]",
        counting(
            lambda some, at: {
                "pagination": {"limit": 2, "next_uri": at and f"/pets?starting_after={at}"},
                "data": some,
            },
            "starting_after",
        ),
        "api.coinbase.com",
    ),
    "confluence": Way(
        "cursor:string; limit:integer:default=25",
        "results[] _links.next:string _links.base:string",
        counting(
            lambda some, at: {
                "results": some,
                "_links": {"base": BASE, **({"next": f"/pets?cursor={at}"} if at else {})},
            },
            "cursor",
        ),
        "acme.atlassian.net",
    ),
    "contentful": Way(
        "skip:integer; limit:integer:default=100",
        "sys total:integer skip:integer limit:integer items[]",
        counting(lambda some, at: {"sys": {}, "total": 7, "skip": 0, "limit": 100, "items": some}, "skip"),
    ),
    "datadog": Way(
        "page[offset]:integer; page[limit]:integer:default=10",
        "data[] included[] meta",
        counting(
            lambda some, at: {"data": some, "included": [{}], "meta": {"pagination": {"total": 7}}}, "page[offset]"
        ),
    ),
    "digitalocean": Way(
        "page:integer:default=1; per_page:integer:maximum=20.0",
        "droplets[] links",
        numbered(
            lambda some, page: {
                "droplets": some,
                "links": {"pages": {"next": f"{HERE}?page={page + 1}"} if page < 4 else {}},
            }
        ),
        "api.digitalocean.com",
    ),
    "discord": Way(
        "limit:integer; before:string; after:string", "", after_last(lambda some, more: some, "after"), "discord.com"
    ),
    "docker hub": Way(
        "page:integer; page_size:integer",
        "count:integer next:string:format=uri previous:string:format=uri results[]",
        numbered(
            lambda some, page: {
                "count": 7,
                "next": f"{HERE}?page={page + 1}" if page < 4 else None,
                "previous": None,
                "results": some,
            }
        ),
        "hub.docker.com",
    ),
    "facebook": Way(
        "limit:integer; after:string",
        "data[] paging.cursors.after:string paging.next:string",
        counting(
            lambda some, at: {
                "data": some,
                "paging": {
                    "cursors": {"after": f"{at or 7}"},
                    **({"next": f"{HERE}?after={at}"} if at else {}),
                },
            },
            "after",
        ),
        "graph.facebook.com",
    ),
    "ghost": Way(
        "page:integer; limit:integer:default=15",
        "posts[] meta.pagination.page:integer meta.pagination.pages:integer meta.pagination.next:integer",
        numbered(
            lambda some, page: {
                "posts": some,
                "meta": {"pagination": {"page": page, "limit": 15, "pages": 4, "next": _more(page), "prev": None}},
            }
        ),
    ),
    "github": Way(
        "page:integer:default=1; per_page:integer:default=30",
        "",
        numbered(lambda some, page: (some, link(f"page={page + 1}", _more(page)))),
        "api.github.com",
    ),
    "gong": Way(
        "cursor:string; fromDateTime:string:format=date-time",
        "requestId:string records.totalRecords:integer records.cursor:string calls[]",
        counting(
            lambda some, at: {
                "records": {"totalRecords": 7, "currentPageSize": 2, **({"cursor": f"e{at}"} if at else {})},
                "calls": some,
            },
            "cursor",
            "e",
        ),
        "api.gong.io",
    ),
    "google": Way(
        "pageToken:string; pageSize:integer",
        "nextPageToken:string files[] kind:string",
        counting(
            lambda some, at: {"files": some, **({"nextPageToken": f"~!!~{at}"} if at else {})}, "pageToken", "~!!~"
        ),
        "www.googleapis.com",
    ),
    "harvest": Way(
        "page:integer; per_page:integer",
        "pets[] per_page:integer total_pages:integer total_entries:integer next_page:integer page:integer links",
        numbered(
            lambda some, page: {
                "pets": some,
                "per_page": 100,
                "total_pages": 4,
                "total_entries": 7,
                "page": page,
                "next_page": _more(page),
                "links": {"next": f"{HERE}?page={page + 1}" if page < 4 else None},
            }
        ),
    ),
    "hetzner": Way(
        "page:integer:default=1; per_page:integer:default=25",
        "servers[] meta.pagination.page:integer meta.pagination.next_page:integer meta.pagination.last_page:integer",
        numbered(
            lambda some, page: {
                "servers": some,
                "meta": {"pagination": {"page": page, "next_page": _more(page), "last_page": 4, "total_entries": 7}},
            }
        ),
        "api.hetzner.cloud",
    ),
    "hubspot": Way(
        "limit:integer:default=10; after:string; archived:boolean",
        "results[] paging.next.after:string paging.next.link:string",
        counting(
            lambda some, at: {
                "results": some,
                **({"paging": {"next": {"after": f"{at}", "link": f"{HERE}?after={at}"}}} if at else {}),
            },
            "after",
        ),
        "api.hubapi.com",
    ),
    "intercom": Way(
        "per_page:integer; starting_after:string",
        "type:string data[] total_count:integer pages.page:integer pages.next.starting_after:string",
        counting(
            lambda some, at: {
                "type": "list",
                "data": some,
                "total_count": 7,
                "pages": {"page": 1, "total_pages": 4, "next": at and {"per_page": 2, "starting_after": f"W{at}"}},
            },
            "starting_after",
            "W",
        ),
        "api.intercom.io",
    ),
    "jira": Way(
        "startAt:integer; maxResults:integer",
        "values[]",
        counting(lambda some, at: {"values": some, "total": 7, "isLast": at is None}, "startAt"),
        "acme.atlassian.net",
    ),
    "klaviyo": Way(
        "page[cursor]:string; page[size]:integer",
        "data[] links.self:string links.next:string",
        counting(
            lambda some, at: {"data": some, "links": {"self": HERE, "next": at and f"{HERE}?page%5Bcursor%5D={at}"}},
            "page[cursor]",
        ),
        "a.klaviyo.com",
    ),
    "kubernetes": Way(
        "limit:integer; continue:string",
        "items[] metadata",
        counting(lambda some, at: {"items": some, "metadata": {"continue": f"c{at}" if at else ""}}, "continue", "c"),
    ),
    "lever": Way(
        "limit:integer; offset:string",
        "data[] hasNext:boolean next:string",
        counting(
            lambda some, at: {"data": some, "hasNext": at is not None, **({"next": f"%5B{at}"} if at else {})},
            "offset",
            "%5B",
        ),
        "api.lever.co",
    ),
    "linode": Way(
        "page:integer:default=1; page_size:integer:default=100:minimum=25:maximum=500",
        "data[] page:integer pages:integer results:integer",
        numbered(lambda some, page: {"data": some, "page": page, "pages": 4, "results": 7}),
        "api.linode.com",
    ),
    "mailchimp": Way(
        "count:integer; offset:integer",
        "lists[] _links[] total_items:integer",
        counting(lambda some, at: {"lists": some, "_links": [{"rel": "self"}], "total_items": 7}, "offset"),
        "us6.api.mailchimp.com",
    ),
    "mailgun": Way(
        "limit:integer",
        "items[] paging.first:string paging.next:string paging.previous:string paging.last:string",
        after_last(lambda some, more: {"items": some, "paging": {"next": f"{HERE}?p={_id(some) or 'p6'}"}}, "p"),
        "api.mailgun.net",
    ),
    "mastodon": Way(
        "max_id:string; since_id:string; min_id:string; limit:integer:default=40",
        "",
        after_last(lambda some, more: (some, link(f"max_id={_id(some)}", some, ', </pets>; rel="prev"')), "max_id"),
    ),
    "meilisearch": Way(
        "offset:integer:default=0; limit:integer:default=20",
        "results[] offset:integer limit:integer total:integer",
        counting(lambda some, at: {"results": some, "offset": 0, "limit": 20, "total": 7}, "offset"),
    ),
    "microsoft graph": Way(
        "$top:integer; $skip:integer; $search:string; $filter:string; $count:boolean",
        "value[] @odata.nextLink:string",
        counting(
            lambda some, at: {"value": some, **({"@odata.nextLink": f"{HERE}?%24skip={at}"} if at else {})}, "$skip"
        ),
        "graph.microsoft.com",
    ),
    "mollie": Way(
        "from:string:about=Offset the result set to the payment with this ID; limit:integer",
        "count:integer _embedded.payments[] _links",
        counting(
            lambda some, at: {
                "count": len(some),
                "_embedded": {"payments": some},
                "_links": {"self": {"href": HERE}, "next": at and {"href": f"{HERE}?from=tr_{at}", "type": "hal"}},
            },
            "from",
            "tr_",
        ),
        "api.mollie.com",
    ),
    "nomad": Way(
        "next_token:string; per_page:integer",
        "",
        counting(lambda some, at: (some, {"X-Nomad-NextToken": f"{at}"} if at else {}), "next_token"),
    ),
    "notion": Way(
        "start_cursor:string; page_size:integer",
        "object:string results[] next_cursor:string has_more:boolean",
        counting(
            lambda some, at: {"results": some, "next_cursor": at and f"n{at}", "has_more": at is not None},
            "start_cursor",
            "n",
        ),
        "api.notion.com",
    ),
    "okta": Way(
        "after:string; limit:integer:default=20",
        "",
        counting(lambda some, at: (some, link(f"after={at}", at)), "after"),
        "acme.okta.com",
    ),
    "openai": Way(
        "limit:integer:default=20; order:string; after:string; before:string",
        "object:string data[] first_id:string last_id:string has_more:boolean",
        after_last(lambda some, more: {"data": some, "last_id": _id(some), "has_more": more}, "after"),
        "api.openai.com",
    ),
    "optimade": Way(
        "page_limit:integer:default=20; page_offset:integer; response_format:string",
        "links data[] errors[] meta.more_data_available:boolean meta.data_returned:integer",
        counting(
            lambda some, at: {
                "data": some,
                "links": {"next": {"href": f"{HERE}?page_offset={at}"} if at else None},
                "meta": {"more_data_available": at is not None, "data_returned": 7},
            },
            "page_offset",
        ),
    ),
    "paddle": Way(
        "after:string; per_page:integer:default=50",
        "data[] meta.pagination.next:string:format=uri meta.pagination.has_more:boolean",
        after_last(
            lambda some, more: {
                "data": some,
                "meta": {"pagination": {"next": f"{HERE}?after={_id(some) or 'p6'}", "has_more": more}},
            },
            "after",
        ),
        "api.paddle.com",
    ),
    "pagerduty": Way(
        "limit:integer; offset:integer; total:boolean",
        "offset:integer limit:integer more:boolean total:integer incidents[]",
        counting(
            lambda some, at: {"incidents": some, "limit": 2, "offset": 0, "more": at is not None, "total": None},
            "offset",
        ),
        "api.pagerduty.com",
    ),
    "pipedrive": Way(
        "start:integer:default=0; limit:integer",
        "success:boolean data[] additional_data",
        counting(
            lambda some, at: {
                "data": some,
                "additional_data": {
                    "pagination": {"more_items_in_collection": at is not None, **({"next_start": at} if at else {})}
                },
            },
            "start",
        ),
        "api.pipedrive.com",
    ),
    "resend": Way(
        "limit:integer; after:string",
        "data[] has_more:boolean",
        after_last(lambda some, more: {"data": some, "has_more": more}, "after"),
        "api.resend.com",
    ),
    "ringcentral": Way(
        "page:integer:default=1; perPage:integer:default=100",
        "records[] paging navigation",
        numbered(lambda some, page: {"records": some, "paging": {"page": page, "perPage": 2, "totalPages": 4}}),
        "platform.ringcentral.com",
    ),
    "salesforce": Way(
        "q:string",
        "totalSize:integer done:boolean records[] nextRecordsUrl:string",
        counting(
            lambda some, at: {
                "totalSize": 7,
                "done": at is None,
                "records": some,
                **({"nextRecordsUrl": f"/pets?start={at}"} if at else {}),
            },
            "start",
        ),
    ),
    "sentry": Way(
        "cursor:string",
        "",
        counting(
            lambda some, at: (some, link(f"cursor={at or 7}", also=f'; results="{"true" if at else "false"}"')),
            "cursor",
        ),
        "sentry.io",
    ),
    "shopify": Way(
        "limit:integer; since_id:integer; page_info:string",
        "products[]",
        counting(lambda some, at: ({"products": some}, link(f"page_info={at}", at)), "page_info"),
    ),
    "slack": Way(
        "cursor:string; limit:integer",
        "ok:boolean channels[] response_metadata",
        counting(
            lambda some, at: {"channels": some, "response_metadata": {"next_cursor": f"dG{at}" if at else ""}},
            "cursor",
            "dG",
        ),
        "slack.com",
    ),
    "snyk": Way(
        "version:string; starting_after:string; ending_before:string; limit:integer:default=10",
        "data[] jsonapi links.next:string links.prev:string",
        counting(
            lambda some, at: {"data": some, "links": {"next": f"/pets?starting_after={at}"} if at else {}},
            "starting_after",
        ),
        "api.snyk.io",
    ),
    "spotify": Way(
        "limit:integer:default=20; offset:integer:default=0",
        "href:string items[] limit:integer next:string offset:integer previous:string total:integer",
        counting(
            lambda some, at: {"items": some, "limit": 20, "next": at and f"{HERE}?offset={at}", "total": 7}, "offset"
        ),
        "api.spotify.com",
    ),
    "spring": Way(
        "page:integer:minimum=0; size:integer:default=20",
        "_embedded.pets[] _links page",
        numbered(
            lambda some, page: {
                "_embedded": {"pets": some},
                "_links": {"self": {"href": HERE}},
                "page": {"size": 2, "totalElements": 7, "totalPages": 4, "number": page},
            },
            first=0,
        ),
    ),
    "square": Way(
        "cursor:string; limit:integer",
        "errors[] customers[] cursor:string",
        counting(lambda some, at: {"customers": some, **({"cursor": f"q{at}"} if at else {})}, "cursor", "q"),
        "connect.squareup.com",
    ),
    "stackexchange": Way(
        "page:integer:default=1; pagesize:integer",
        "",
        numbered(lambda some, page: {"items": some, "has_more": page < 4}),
        "api.stackexchange.com",
    ),
    "strapi": Way(
        "pagination[page]:integer; pagination[pageSize]:integer:default=25",
        "data[] meta",
        numbered(
            lambda some, page: {
                "data": some,
                "meta": {"pagination": {"page": page, "pageSize": 2, "pageCount": 4, "total": 7}},
            },
            "pagination[page]",
        ),
    ),
    "stripe": Way(
        "ending_before:string; limit:integer; starting_after:string",
        "object:string data[] has_more:boolean url:string",
        after_last(
            lambda some, more: {"object": "list", "data": some, "has_more": more, "url": "/v1/pets"}, "starting_after"
        ),
        "api.stripe.com",
    ),
    "stripe's searches": Way(
        "limit:integer; page:string; query:string",
        "object:string data[] has_more:boolean next_page:string url:string",
        counting(
            lambda some, at: {"data": some, "has_more": at is not None, "next_page": at and f"s{at}"}, "page", "s"
        ),
        "api.stripe.com",
    ),
    "svix": Way(
        "iterator:string; limit:integer",
        "data[] done:boolean iterator:string",
        counting(lambda some, at: {"data": some, "iterator": f"i{at or 9}", "done": at is None}, "iterator", "i"),
        "api.svix.com",
    ),
    "terraform cloud": Way(
        "page[number]:integer; page[size]:integer",
        "data[] links.next:string meta",
        numbered(
            lambda some, page: {
                "data": some,
                "links": {"next": f"{HERE}?page%5Bnumber%5D={page + 1}" if page < 4 else None},
                "meta": {"pagination": {"current-page": page, "next-page": _more(page), "total-pages": 4}},
            },
            "page[number]",
        ),
        "app.terraform.io",
    ),
    "twilio": Way(
        "PageSize:integer; Page:integer; PageToken:string",
        "calls[] end:integer first_page_uri:string next_page_uri:string page:integer page_size:integer start:integer",
        numbered(
            lambda some, page: {
                "calls": some,
                "page": page,
                "page_size": 2,
                "first_page_uri": "/pets?Page=0",
                "next_page_uri": f"/pets?Page={page + 1}&PageToken=PA{page}" if page < 3 else None,
            },
            "Page",
            first=0,
        ),
        "api.twilio.com",
    ),
    "twitch": Way(
        "first:integer; after:string; before:string",
        "data[] pagination.cursor:string",
        counting(lambda some, at: {"data": some, "pagination": {"cursor": f"eyJ{at}"} if at else {}}, "after", "eyJ"),
        "api.twitch.tv",
    ),
    "typeform": Way(
        "page:integer; page_size:integer:default=10:maximum=200",
        "total_items:integer page_count:integer items[]",
        numbered(lambda some, page: {"total_items": 7, "page_count": 4, "items": some}),
        "api.typeform.com",
    ),
    "vercel": Way(
        "from:number:about=Get what was created after this timestamp; limit:number; since:number; until:number",
        "pagination.count:integer pagination.next:integer pagination.prev:integer deployments[]",
        counting(
            lambda some, at: {"pagination": {"count": len(some), "next": at, "prev": 1}, "deployments": some}, "until"
        ),
        "api.vercel.com",
    ),
    "vultr": Way(
        "per_page:integer; cursor:string",
        "instances[] meta.total:integer meta.links.next:string meta.links.prev:string",
        counting(
            lambda some, at: {
                "instances": some,
                "meta": {"total": 7, "links": {"next": f"bmV4{at}" if at else "", "prev": ""}},
            },
            "cursor",
            "bmV4",
        ),
        "api.vultr.com",
    ),
    "wordpress": Way(
        "page:integer:default=1; per_page:integer:default=10:maximum=100",
        "",
        numbered(lambda some, page: (some, {"X-WP-Total": "7", "X-WP-TotalPages": "4"})),
    ),
    "x": Way(
        "max_results:integer; pagination_token:string; since_id:string; start_time:string:format=date-time",
        "data[] errors[] meta.next_token:string meta.result_count:integer includes",
        counting(
            lambda some, at: {"data": some, "meta": {"result_count": 2, **({"next_token": f"7{at}"} if at else {})}},
            "pagination_token",
            "7",
        ),
        "api.x.com",
    ),
    "xero": Way(
        "page:integer:about=e.g. page=1 – Up to 100 contacts will be returned; where:string",
        "Contacts[]",
        numbered(lambda some, page: {"Id": "r1", "Status": "OK", "Contacts": some}),
        "api.xero.com",
    ),
    "youtube": Way(
        "maxResults:integer:default=5; pageToken:string",
        "items[] nextPageToken:string prevPageToken:string pageInfo.totalResults:integer",
        counting(
            lambda some, at: {
                "items": some,
                "pageInfo": {"totalResults": 7, "resultsPerPage": 5},
                **({"nextPageToken": f"CA{at}"} if at else {}),
            },
            "pageToken",
            "CA",
        ),
        "youtube.googleapis.com",
    ),
    "zendesk": Way(
        "page:integer; per_page:integer",
        "tickets[] next_page:string previous_page:string count:integer",
        numbered(
            lambda some, page: {
                "tickets": some,
                "next_page": f"{HERE}?page={page + 1}" if page < 4 else None,
                "count": 7,
            }
        ),
        "acme.zendesk.com",
    ),
    "zendesk's cursors": Way(
        "page[size]:integer; page[after]:string",
        "tickets[] meta.has_more:boolean meta.after_cursor:string links.next:string links.prev:string",
        counting(
            lambda some, at: {
                "tickets": some,
                "meta": {"has_more": at is not None, "after_cursor": f"{at or 7}"},
                "links": {"next": f"{HERE}?page%5Bafter%5D={at or 7}"},
            },
            "page[after]",
        ),
        "acme.zendesk.com",
    ),
    "zoom": Way(
        "page_size:integer:maximum=300; next_page_token:string; page_number:integer; from:string:format=date",
        "page_count:integer page_size:integer total_records:integer next_page_token:string meetings[]",
        counting(
            lambda some, at: {
                "page_count": 1,
                "page_size": 30,
                "total_records": 7,
                "meetings": some,
                "next_page_token": f"z{at}" if at else "",
            },
            "next_page_token",
            "z",
        ),
        "api.zoom.us",
    ),
}
"""What the documentation of services says, by their name."""

OTHERS: dict[str, Way] = {
    "a page that counts from zero": Way(
        "page:integer:minimum=0; per_page:integer:default=2", "", numbered(lambda some, page: some, first=0)
    ),
    "a page that the reply counts from zero": Way(
        "page:integer; size:integer",
        "content[] number:integer last:boolean",
        numbered(lambda some, page: {"content": some, "number": page, "last": page == 3}, first=0),
    ),
    "page_index": Way(
        "page_index:integer:default=0; per_page:integer:default=2",
        "",
        numbered(lambda some, page: some, "page_index", first=0),
    ),
    "a page that counts from zero, which nothing says": Way(
        "page:integer; per_page:integer:default=2", "", numbered(lambda some, page: some, first=0)
    ),
    "a page that counts from one, which nothing says": Way(
        "page:integer; per_page:integer:default=2", "", numbered(lambda some, page: some)
    ),
    "a short page with a total": Way(
        "page:integer:default=1; per_page:integer:default=100",
        "pets[] total:integer",
        numbered(lambda some, page: {"pets": some, "total": 7}),
    ),
    "a short page with a token": Way(
        "page_token:string; page_size:integer",
        "pets[] next_page_token:string",
        counting(lambda some, at: {"pets": some, "next_page_token": at and f"t{at}"}, "page_token", "t"),
    ),
}
"""Ways of services whose documents say less."""
