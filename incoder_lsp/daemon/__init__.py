"""One process that holds the model for all of a user's editors, and the relays by which they reach it.

What an editor starts is the relay, which should cost nothing: this package, `relay` and what that imports stay light.
"""
