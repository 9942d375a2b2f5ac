"""What several tests share.

Programs and processes:
    forked: the program, forked from a process that has imported it
    changed: the program with other values of constants
    prepared: sandboxes, forked from a process that has imported what they run
    terminal: a pseudo-terminal with a program in it, and what a person would see
    screen: a pseudo-terminal for commands that run in this process
    processes: the processes of this machine, and patience
    cgroups: a control group with a memory limit
    postgres: a PostgreSQL server
    steps: how many functions a piece of work calls
    rounds: how often a test repeats what it tries
    sources: the program's own source, parsed once

    user_program: a program that uses all of the Python interface

Servers of KosmoLua and their clients:
    serving: servers of many, their accounts files, and clients with tokens
    agents: MCP clients, the server they talk to, and the person who answers for them
    tasks: an MCP client that takes tasks, and says what became of them
    page: the pages for people over simulators, and a browser's visits
    otlp: a collector of OpenTelemetry

Services that KosmoLua calls:
    loopback: a web server in front of any ``send``
    rawserver: a server on a raw socket, which can do all that a web server must not
    shelf: a service that counts what it was asked to write
    yard: an integration whose service logs its writes, and whose answers a test can change
    oauth_server, oidc_server: strict providers of OAuth 2 and of OpenID Connect
    servers: sections and runtimes with MCP servers
    conformance_client: a person's part in the conformance suite of MCP
    tasks_server: the tools that this suite wants of a server with tasks
    mcp_tools, raw_mcp_server: MCP servers made with the SDK, and without it
    hostile_mcp_server: one whose tool becomes another

Integrations and what they are called with:
    library: a small integration with functions that fail in every way
    books: handlers and types of which a signature speaks
    catalogs: integrations in memory, and folders of plugins that are made up
    documents: documents of OpenAPI, and a service that answers by them
    pagers: how services split their lists into pages
    reference, conformance: requests as the specification of OpenAPI has them, and how others differ
    graphql_server, strawberry_server: GraphQL services on loopback, of two libraries
    github_account, render2_account: one account, called as Lua calls it
    render2_bodies, render2_calls, render2_lua, render2_settings: what its functions get and send
    render2_limits: Render with its rate limits on

Runs and questions:
    recordings: recordings of long ago, or of another version
    records: records of calls
    random_scripts: scripts made by hypothesis
    agent_questions: questions as agents word them, with the pages that answer them
    questions: questions of everyday, with the pages that answer them
    identifiers: identifiers of parametrized tests
"""
