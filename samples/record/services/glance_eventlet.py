"""Glance up to 30 as it was served then, by its own eventlet server, recorded. Takes glance-api's options."""

import sys

from glance.cmd import api  # isort: skip  first: it patches the standard library

import futurist
import truth
from glance.common import config

sys.argv[0] = "glance-api"
truth.record_sql()
truth.record_pool()
truth.follow_tasks(futurist.GreenThreadPoolExecutor)

load_paste_app = config.load_paste_app
config.load_paste_app = lambda *args, **kwargs: truth.record_requests("glance", load_paste_app(*args, **kwargs))

sys.exit(api.main())
