"""Whose bridge it is, and what its owner noted of a dropped packet."""
