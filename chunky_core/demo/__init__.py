"""The demo domain: procedural portraits with exact labels and attributes, and what was trained on them."""
