"""Keystone as a WSGI application for gunicorn, recorded."""

import sys

sys.argv = ["keystone-api"]  # Keystone parses the command line of whoever imports it

import truth  # noqa: E402

truth.record_sql()
truth.record_pool()

from keystone.wsgi.api import application as keystone  # noqa: E402  PyMySQL and pools first

application = truth.record_requests("keystone", keystone)
