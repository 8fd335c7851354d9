"""Pictures to figures."""
