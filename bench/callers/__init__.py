"""Callers of the load generator, one kind for each protocol that a call comes by."""
