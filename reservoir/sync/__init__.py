"""The runs that bring a list's members in."""
