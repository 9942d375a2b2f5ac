"""Stores: where the recordings, questions and grants of tenants are kept, and what the replicas of a server share.

- *store*: keeps a tenant's recordings, questions, grants and key, in a folder or a database.
- *slot*: the right to run one script, counted over all replicas of a store.
"""
