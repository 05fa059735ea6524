"""Feed-forward networks, which paint at once: one file each."""
