"""Threads of the hub that os-ken runs on, and questions asked in the background."""
