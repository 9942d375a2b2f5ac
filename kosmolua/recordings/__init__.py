"""Recordings of runs: their format, their replay, and plans.

- *recording*: all that a script learned, as a line of JSON for each *event*; *answer*: a recorded reply to a request.
- *place*: where one recording is kept; *sheet*: a place opened for writing.
- *signed*: written with the key of this store. What is not signed is only the file's claim.
- *plan*: the writes that a script would make; *application*: a run that makes exactly these.
"""
