"""Fleets: run one script for many inputs, with any executor of :mod:`concurrent.futures`.

A task is one run of the script, described by plain data. Each process that runs tasks opens a runtime with the same
options and reads the credentials itself, so that credentials are never sent to another process.
"""
