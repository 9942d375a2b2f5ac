"""Fleets: one script over many inputs, on any executor of :mod:`concurrent.futures`.

A task is plain data. Each process that runs tasks opens one runtime with the same options, so that credentials are
resolved there and are never sent.
"""
