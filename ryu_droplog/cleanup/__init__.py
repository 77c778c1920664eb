"""The clean-up process, which undoes what the program cannot, and the program's side of it."""
