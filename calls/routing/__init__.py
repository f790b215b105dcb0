"""Which agent takes a call, and why."""

from calls.routing.route import NoPublishedAgent, Route, route

__all__ = ["NoPublishedAgent", "Route", "route"]
