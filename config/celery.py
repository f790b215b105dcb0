"""The Celery application: what workers run, and what beat asks for and how often."""

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab


def every(seconds: float, task: str) -> dict[str, Any]:
    """Ask for a task of the calls' so often; one that is late gives way to the next."""
    return {"task": f"calls.tasks.{task}", "schedule": seconds, "options": {"expires": seconds}}


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

app = Celery("andrea")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.update(
    # Sending a task happens on web threads: fail fast, the sweeper asks again.
    task_publish_retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.1},
    beat_sync_every=1,  # the age of beat's file is its health check
    beat_schedule={
        "sweep-calls": every(10.0, "sweep_calls"),
        "sweep-servers": every(2.0, "sweep_servers"),
        "sweep-messages": every(10.0, "sweep_messages"),
        "sweep-carriers": every(5.0, "sweep_carriers"),
        "run-campaigns": every(2.0, "run_campaigns"),
        "run-call-backs": every(5.0, "run_call_backs"),
        "forget-carrier-events": {
            "task": "calls.tasks.forget_carrier_events",
            "schedule": crontab(hour=3, minute=40),
            "options": {"expires": 3600.0},
        },
    },
)
