"""The public names for authors of plugins: everything that an integration's module needs from KosmoLua.

A plugin is a module with one :class:`Integration` in a variable named ``integration``. The integration's functions are
plain typed functions. KosmoLua supplies the parameters before ``/``, such as the API client. The parameters after ``*``
are the arguments that a script passes.
"""

from kosmolua.clock import SIMULATION_START
from kosmolua.errors import ApiError, BadArguments, CallError, NetworkError, NotConfigured
from kosmolua.http.auth import Basic, Bearer, CookieKey, HeaderKey, OAuth2, QueryKey
from kosmolua.http.binary import Binary, bytes_of
from kosmolua.http.client import Api, decode
from kosmolua.http.graphql import by_connection, graphql
from kosmolua.http.messages import Request, Response, Send
from kosmolua.http.nesting import nested
from kosmolua.http.paging import by_cursor, by_link, by_page, next_link
from kosmolua.schema.bounds import between, matching, non_empty, unless
from kosmolua.schema.formats import AbsolutePath, OneOf, Schedule, Url
from kosmolua.schema.integration import Declared, Integration
from kosmolua.schema.labels import Labels
from kosmolua.schema.types import one_of
from kosmolua.secret import Secret

__all__ = [
    "SIMULATION_START",
    "AbsolutePath",
    "Api",
    "ApiError",
    "BadArguments",
    "Basic",
    "Bearer",
    "Binary",
    "CallError",
    "CookieKey",
    "Declared",
    "HeaderKey",
    "Integration",
    "Labels",
    "NetworkError",
    "NotConfigured",
    "OAuth2",
    "OneOf",
    "QueryKey",
    "Request",
    "Response",
    "Schedule",
    "Secret",
    "Send",
    "Url",
    "between",
    "by_connection",
    "by_cursor",
    "by_link",
    "by_page",
    "bytes_of",
    "decode",
    "graphql",
    "matching",
    "nested",
    "next_link",
    "non_empty",
    "one_of",
    "unless",
]
