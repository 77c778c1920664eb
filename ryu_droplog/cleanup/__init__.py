"""The clean-up process, which takes back what the program cannot, and the program's side of it."""
