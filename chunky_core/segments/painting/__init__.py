"""Segments from strokes that were painted over a photo."""
