"""Mutates good checkpoints and watches what loading them does."""
