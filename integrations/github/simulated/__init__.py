"""The parts of the simulator: what there is, and how it is asked for."""
