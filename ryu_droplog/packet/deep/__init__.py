"""A packet taken apart as far as it can be: for records, which show more than a drop line does."""
