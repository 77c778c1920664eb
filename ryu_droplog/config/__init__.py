"""droplog.yaml, and what the OpFlex agent's control files say: loading, checking, comparing."""
