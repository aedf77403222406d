"""tcpdump on the loopback interface."""

import re
import signal
import subprocess
from pathlib import Path

from lab import place
from lab.processes import LabError, wait_for


class Capture:
    """A running tcpdump that writes `path`; `stop` returns its own counts."""

    def __init__(self, path: Path, ports: list[int]) -> None:
        self.path = path
        self.filter = " or ".join(f"port {port}" for port in ports)
        self.said = place.LOG / "tcpdump.log"
        command = ["tcpdump", "-i", "lo", "-s0", "-n", "-U", "-B", "65536", "-Z", "root", "-w", str(path), self.filter]
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=said)
        wait_for("tcpdump", lambda: "listening" in self.said.read_text(), 20, self.process)

    def stop(self) -> str:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        counts = re.findall(r"\d+ packets? [^\n]+", self.said.read_text())
        if not counts:
            raise LabError(f"tcpdump wrote no counts: {self.path}")
        return " ".join(counts)
