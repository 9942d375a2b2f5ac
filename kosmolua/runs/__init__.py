"""One run, seen from the host: its clock is kept, its frames are answered, and its end is judged."""
