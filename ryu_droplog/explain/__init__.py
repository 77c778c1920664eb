"""Why one packet was dropped, and what would let it through."""
