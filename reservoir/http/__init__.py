"""How the service is asked: routes, bodies, answers, problems."""
