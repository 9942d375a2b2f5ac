"""Fleets: run one script over many inputs, with any executor of :mod:`concurrent.futures`.

A task is one run of the script, described by plain data. Each process that runs tasks opens one runtime with the same
options and reads the credentials itself, so credentials are never sent to another process.
"""
