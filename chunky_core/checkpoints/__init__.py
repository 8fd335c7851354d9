"""Weights files of any tool -> Generator, read as data: nothing stored in a file is ever executed.

containers/: what kinds of files there are; pickles/: a reader of pickles that builds plain data only; formats/: the
names and layouts of each tool's networks.
"""
