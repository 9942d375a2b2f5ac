"""How services split their lists into pages, by the host of their API: what documents often do not say."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Any
from urllib.parse import urlsplit

_KEYS = ("kind", "parameter", "field", "more", "first")
_VENDORS = """
*.atlassian.net             offset    startAt
*.auth0.com                 page      page                  -                                     -          0
*.chargebee.com             token     offset                next_offset
*.freshdesk.com             link
*.googleapis.com            token     pageToken             nextPageToken
*.okta.com                  link
*.zendesk.com               url       -                     next_page
a.klaviyo.com               url       -                     links.next
api-m.paypal.com            page      page
api.airtable.com            token     offset                offset
api.anthropic.com           last_id   after_id              id                                    has_more
api.bitbucket.org           url       -                     next
api.box.com                 token     marker                next_marker
api.brevo.com               offset    offset
api.buildkite.com           link
api.calendly.com            token     page_token            pagination.next_page_token
api.clerk.com               offset    offset
api.clickup.com             page      page                  -                                     -          0
api.close.com               offset    _skip                 -                                     has_more
api.cloudflare.com          page      page
api.coinbase.com            url       -                     pagination.next_uri
api.crossref.org            token     cursor                message.next-cursor
api.deezer.com              url       -                     next
api.dialpad.com             token     cursor                cursor
api.digitalocean.com        url       -                     links.pages.next
api.discogs.com             url       -                     pagination.urls.next
api.easypost.com            last_id   before_id             id                                    has_more
api.figma.com               url       -                     pagination.next_page
api.getlago.com             token     page                  meta.next_page
api.github.com              link
api.gocardless.com          token     after                 meta.cursors.after
api.gong.io                 token     cursor                records.cursor
api.goshippo.com            url       -                     next
api.helpscout.net           url       -                     _links.next.href
api.hetzner.cloud           token     page                  meta.pagination.next_page
api.hubapi.com              token     after                 paging.next.after
api.imgur.com               page      page                  -                                     -          0
api.intercom.io             token     starting_after        pages.next.starting_after
api.lemonsqueezy.com        url       -                     links.next
api.lever.co                token     offset                next
api.linkedin.com            offset    start
api.linode.com              page      page
api.mailgun.net             url       -                     paging.next
api.mollie.com              url       -                     _links.next.href
api.netlify.com             link
api.newrelic.com            link
api.notion.com              token     start_cursor          next_cursor
api.openai.com              last_id   after                 id                                    has_more
api.openalex.org            token     cursor                meta.next_cursor
api.opsgenie.com            url       -                     paging.next
api.outreach.io             url       -                     links.next
api.paddle.com              url       -                     meta.pagination.next
api.pagerduty.com           offset    offset                -                                     more
api.pexels.com              url       -                     next_page
api.pinterest.com           token     bookmark              bookmark
api.pipedrive.com           token     start                 additional_data.pagination.next_start
api.postmarkapp.com         offset    offset
api.render.com              item_cursor  cursor             cursor
api.resend.com              last_id   after                 id                                    has_more
api.salesloft.com           token     page                  metadata.paging.next_page
api.scaleway.com            page      page
api.semanticscholar.org     token     offset                next
api.snyk.io                 url       -                     links.next
api.sparkpost.com           url       -                     links.next
api.spotify.com             url       -                     next
api.squareup.com            token     cursor                cursor
api.stackexchange.com       page      page                  -                                     has_more
api.stripe.com              last_id   starting_after        id                                    has_more
api.surveymonkey.com        url       -                     links.next
api.svix.com                token     iterator              iterator
api.themoviedb.org          page      page
api.todoist.com             token     cursor                next_cursor
api.twilio.com              url       -                     next_page_uri
api.twitch.tv               token     after                 pagination.cursor
api.twitter.com             token     pagination_token      meta.next_token
api.typeform.com            page      page
api.unsplash.com            link
api.vercel.com              token     until                 pagination.next
api.vultr.com               token     cursor                meta.links.next
api.weather.gov             url       -                     pagination.next
api.workos.com              token     after                 list_metadata.after
api.x.com                   token     pagination_token      meta.next_token
api.xero.com                page      page
api.zoom.us                 token     next_page_token       next_page_token
api2.frontapp.com           url       -                     _pagination.next
app.asana.com               token     offset                next_page.offset
app.posthog.com             url       -                     next
app.terraform.io            url       -                     links.next
bsky.social                 token     cursor                cursor
circleci.com                token     page-token            next_page_token
connect.squareup.com        token     cursor                cursor
discord.com                 last_id   after                 id
gitlab.com                  link
graph.facebook.com          url       -                     paging.next
graph.microsoft.com         url       -                     @odata.nextLink
harvest.greenhouse.io       link
hub.docker.com              url       -                     next
huggingface.co              link
musicbrainz.org             offset    offset
oauth.reddit.com            token     after                 data.after
platform.ringcentral.com    page      page
quay.io                     token     next_page             next_page
sentry.io                   link
slack.com                   token     cursor                response_metadata.next_cursor
us.api.nylas.com            token     page_token            next_cursor
v3.recurly.com              url       -                     next
www.eventbriteapi.com       token     continuation          pagination.continuation
"""


@cache
def vendors() -> Mapping[str, Mapping[str, Any]]:
    """Return the paging of each known host, which may begin with a star."""
    rows = (line.split() for line in _VENDORS.strip().splitlines())
    return {
        host: {
            key: int(word) if key == "first" else word for key, word in zip(_KEYS, words, strict=False) if word != "-"
        }
        for host, *words in rows
    }


def paging_of(base_url: str) -> Mapping[str, Any]:
    """Return the paging of the service at a base URL, as a table of ``openapi.toml``; empty if it is not known."""
    host = (urlsplit(base_url).hostname or "").lower()
    return next((told for pattern, told in vendors().items() if fnmatchcase(host, pattern)), {})
