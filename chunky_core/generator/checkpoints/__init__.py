"""Weights files of any tool, read as data: nothing stored in a file is ever executed."""
