"""What the words mean: the nouns of reservoir and their rules, with no clock read, no I/O and no logging."""
