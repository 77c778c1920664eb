"""Whose port, MAC or address it is: who says so, and when it held."""
