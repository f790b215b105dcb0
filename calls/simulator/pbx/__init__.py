"""A little 3CX: what the simulated caller's telephone is connected to, and the tests' stand-in.

Written from what 3CX and its users document (threecx.md), not from our adapters, so that it can
find their mistakes. `tests/peers/threecx.py` teaches it to misbehave.
"""
