"""What should stand on a bridge and what does: plans, and what carries them out."""
