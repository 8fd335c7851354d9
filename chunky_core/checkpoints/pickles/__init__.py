"""A reader of pickles that builds plain data only."""
