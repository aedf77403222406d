"""`python -m tests.bench`: speed and memory, all figures in one go (some minutes)."""

from tests.bench import beside, files, memory, plugin, report, speed, startup, tls_speed

startup.report()
plugin.report()
speed.report()
files.report()
memory.report()
tls_speed.report()
report.report()
beside.report()
