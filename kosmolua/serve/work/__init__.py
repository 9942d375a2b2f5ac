"""Work without a person: runs that begin by a schedule or by a hook, and runs that go on after a long sleep.

The store has a *task* for each (:mod:`kosmolua.stores.tasks`), so that any server of a tenant can carry it out, once.
"""
