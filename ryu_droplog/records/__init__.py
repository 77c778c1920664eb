"""A drop as a record: all that is known of it, and its encodings under names that others know."""
