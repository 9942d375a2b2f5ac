"""The documentation: written guides, and reference pages made from the functions of integrations.

- *page*: a guide, or the reference of an integration, a function, a section or a record; ``integrations.render2``.
- *section*: a group of functions, for an integration with too many for one page.
- *record*: a type of tables with named keys, declared by an OpenAPI document or a function.
- *sketch*: what a list shows of a function; *outline*: the sketches of an integration.
- *detail*: how much of a page is written: ``brief``, ``signatures``, ``types`` (LuaCATS declarations) or ``full``.
- *budget*: a number of characters that the written page must not exceed.
"""

from kosmolua.docs.library import Library

__all__ = ["Library"]
