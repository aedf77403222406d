"""`python -m tests.bench`: speed and memory, all figures in one go (some minutes)."""

from tests.bench import memory, speed

speed.report()
memory.report()
