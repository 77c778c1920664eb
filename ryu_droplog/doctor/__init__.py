"""What can be seen on a bridge, what cannot, and what it costs."""
