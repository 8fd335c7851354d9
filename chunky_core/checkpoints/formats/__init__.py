"""The names and layouts of each tool's networks, brought to NVlabs'; and this package's own format."""
