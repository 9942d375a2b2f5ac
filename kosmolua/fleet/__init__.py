"""Fleets: one script over many inputs, on any executor of :mod:`concurrent.futures`.

A task is plain data. Where it runs, a runtime is opened with the same options, once in each process, so that
credentials are resolved there and never travel.
"""
