"""Codes of a photo in one pass of a network."""
