"""Kinds of files, told apart by their content: archives, torch's, NumPy's, .safetensors, and what holds no weights."""
