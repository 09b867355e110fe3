"""A Salesforce org on loopback, as strict as the real one: what its API would refuse is refused."""
