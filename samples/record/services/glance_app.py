"""Glance 31 and newer as a WSGI application for gunicorn, recorded: import tasks run in threads."""

import sys
from concurrent.futures import ThreadPoolExecutor

sys.argv = ["glance-api"]

import truth  # noqa: E402

truth.record_sql()
truth.record_pool()
truth.follow_tasks(ThreadPoolExecutor)

from glance.wsgi.api import application as glance  # noqa: E402  PyMySQL and pools first

application = truth.record_requests("glance", glance)
