"""Serving many: tenants, each with a runtime of its own, over the Model Context Protocol and on a page for people.

One event loop owns the state of the server and of its tenants. Scripts run in threads of their tenant's runtime; what
they report arrives at the loop, and nothing of one tenant is reached from another's.
"""
