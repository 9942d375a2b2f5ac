"""Recordings of runs: their format, where they are kept, their replay, and plans.

- *recording*: all that a script learned, as a line of JSON for each *event*; *answer*: a recorded reply to a request.
- *store*: keeps a tenant's recordings, questions and grants in a folder or a database; *place*: one recording in it.
- *signed*: written with the key of this store. What is not signed is only the file's claim.
- *plan*: the writes that a script would make; *application*: a run that makes exactly these.
- *slot*: the right to run one script, counted over all replicas of a store.
"""
