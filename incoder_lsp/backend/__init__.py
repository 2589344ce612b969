"""A server that completes instead of the model: its address, what it speaks, and what is asked of it."""
