"""Desired and observed state of a bridge's flows: plans, and the reconciler that applies them."""
