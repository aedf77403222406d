"""`python -m tests.bench`: speed and memory, all figures in one go (some minutes)."""

from tests.bench import files, memory, speed

speed.report()
files.report()
memory.report()
