"""What others' schemas demand of a record, asked of their published forms."""
