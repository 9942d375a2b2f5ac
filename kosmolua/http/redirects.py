"""A handler for urllib, which some parts use instead of requests because requests takes long to import."""

from __future__ import annotations

import urllib.request


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirects, so that the headers of a request go nowhere else."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None
