"""Code on NumPy arrays: embed texts, and score papers against many like queries at once."""
