"""Fleets: one script over many inputs, on any executor of :mod:`concurrent.futures`.

A task is plain data. Where it runs, the runtime opens itself anew from its options, once in each process, so that
credentials are resolved there and never travel.
"""
