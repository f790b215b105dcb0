"""Makes Django know the composition root, so that every process has the Celery application."""

from django.apps import AppConfig


class RootConfig(AppConfig):
    """Tasks are sent through the application of `config.celery`, whoever sends them."""

    name = "config"

    def ready(self) -> None:
        """Make it the current one."""
        from config import celery  # noqa: F401
