"""Drops for whoever asks: what observers ask, who answers them, and how a record is shown."""
