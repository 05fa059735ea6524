"""Feed-forward networks, which paint in a single pass: one file each."""
