"""Telephone carriers: what each says on the wire, one package per carrier, no framework."""
