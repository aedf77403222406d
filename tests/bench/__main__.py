"""`python -m tests.bench`: speed and memory, all figures in one go (some minutes)."""

from tests.bench import files, memory, report, speed, tls_speed

speed.report()
files.report()
memory.report()
tls_speed.report()
report.report()
