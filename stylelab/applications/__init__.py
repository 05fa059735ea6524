"""What the paper names as applications, and its experiment from end to end."""
