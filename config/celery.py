"""The Celery application: what workers run, and what beat asks for and how often."""

import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

app = Celery("andrea")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.conf.update(
    # Sending a task happens on web threads: fail fast, the sweeper asks again.
    task_publish_retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.1},
    beat_sync_every=1,  # the age of beat's file is its health check
    beat_schedule={
        "sweep-calls": {
            "task": "calls.tasks.sweep_calls",
            "schedule": 10.0,
            "options": {"expires": 10.0},
        },
        "sweep-servers": {
            "task": "calls.tasks.sweep_servers",
            "schedule": 2.0,
            "options": {"expires": 2.0},
        },
        "sweep-messages": {
            "task": "calls.tasks.sweep_messages",
            "schedule": 10.0,
            "options": {"expires": 10.0},
        },
        "sweep-carriers": {
            "task": "calls.tasks.sweep_carriers",
            "schedule": 5.0,
            "options": {"expires": 5.0},
        },
        "forget-carrier-events": {
            "task": "calls.tasks.forget_carrier_events",
            "schedule": crontab(hour=3, minute=40),
            "options": {"expires": 3600.0},
        },
        "run-campaigns": {
            "task": "calls.tasks.run_campaigns",
            "schedule": 2.0,
            "options": {"expires": 2.0},
        },
        "run-call-backs": {
            "task": "calls.tasks.run_call_backs",
            "schedule": 5.0,
            "options": {"expires": 5.0},
        },
    },
)
