"""Faces out of photos, upright and in the generator's size, and back in at the photo's own resolution."""
