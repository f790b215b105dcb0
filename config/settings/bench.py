"""For `manage.py bench_server`: nothing is stored, so no database and no Redis is started."""

import os

os.environ["DATABASE_URL"] = "postgresql://nobody@localhost/unused"
os.environ["REDIS_URL"] = "redis://localhost/0"

from config.settings.base import *  # noqa: F403
