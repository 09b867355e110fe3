"""reservoir: the shared memory between sales dialers."""

__version__ = "0.1.0"
