"""YAML files and their mistakes, each named with file, key and value."""
