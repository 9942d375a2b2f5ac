"""The parts of the simulator of GitHub: its data, and its operations, which the modules register."""

from . import actions, contents, discussion, operations, pulls  # noqa: F401
