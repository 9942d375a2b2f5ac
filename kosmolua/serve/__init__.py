"""A server for several tenants, each with its own runtime, over the Model Context Protocol and on a website for people.

One event loop owns the state of the server and of its tenants. Scripts run in threads of their tenant's runtime, and
report to the loop. No tenant can access anything of another tenant.
"""
