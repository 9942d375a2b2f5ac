"""A server for several tenants, each with a separate runtime. The server has an MCP endpoint and a website.

Only the thread of the event loop changes the state of the server and of its tenants. Scripts run in threads of their
tenant's runtime, and report to the event loop. No tenant can access the data of another tenant.
"""
