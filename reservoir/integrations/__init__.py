"""Other people's records: how each integration names its prospects and streams a list's members in."""
