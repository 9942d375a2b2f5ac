"""The parts of the simulator of GitHub: its data, and its operations."""
