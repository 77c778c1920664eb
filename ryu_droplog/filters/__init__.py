"""What a filter may ask of a drop: a module for a key, or a pair of keys."""
