"""The whole API on one screen: every noun brings its routes."""

from reservoir.http import claims, history, lists, places, prospects, removals, reservations, sessions, settings, syncs, why, write_back
from reservoir.http.visit import Route

ROUTES: tuple[Route, ...] = (
    *claims.ROUTES,
    *sessions.ROUTES,
    *reservations.ROUTES,
    *prospects.ROUTES,
    *lists.ROUTES,
    *syncs.ROUTES,
    *removals.ROUTES,
    *places.ROUTES,
    *settings.ROUTES,
    *write_back.ROUTES,
    *history.ROUTES,
    *why.ROUTES,
)
