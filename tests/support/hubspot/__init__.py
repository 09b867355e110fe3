"""A portal of HubSpot's on loopback, as its documentation has it. A request that the real one would refuse is refused."""
