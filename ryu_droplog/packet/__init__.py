"""Bytes in, fields out: pure decoding, without input, output or a clock."""
