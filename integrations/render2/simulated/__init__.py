"""The parts of the simulator of Render: its data, the checks of requests, and the operations."""
