"""The applications that the paper names, and its experiment from end to end."""
