"""Where the lab is: its namespaces, its addresses, its folders, its passwords.

The recorder runs in a network, a mount and a process namespace of its own. When it ends, however it ends, the kernel
ends every process in them and takes away the mounts; nothing of the machine outside is changed or seen in a capture.
"""

import os
import signal
import subprocess
from pathlib import Path

CLIENT, PROXY, SERVICES, DATABASE, MIRROR = "127.0.0.1", "127.0.0.20", "127.0.0.19", "127.0.0.30", "127.0.0.40"
KEYSTONE_PUBLIC, GLANCE_PUBLIC, KEYSTONE, GLANCE, MYSQL, MIRROR_PORT = 13000, 13292, 5000, 9292, 3306, 8088
ALL_PORTS = (KEYSTONE_PUBLIC, GLANCE_PUBLIC, MYSQL, GLANCE, KEYSTONE)

ADMIN_PASSWORD = "labadminpass"
SERVICE_PASSWORD = "labservicepass"
USER_PASSWORD = "labuserpass"
DATABASE_PASSWORD = "labdbpass"

MOUNT = Path("/srv")  # where a tmpfs of the mount namespace goes
ROOT = MOUNT / "glancelab"
ETC, LOG, TRUTH, STORES, STAGING = (ROOT / name for name in ("etc", "log", "truth", "store", "staging"))
SOCKET = ROOT / "mysqld.sock"
NAMESPACES = "unshare --net --mount --pid --fork --kill-child --mount-proc --propagation private"
TINY_STORE_SIZE = "300k"


def enter(command: list[str], env: dict[str, str]) -> int:
    """Runs `command` in new namespaces; its status. Ctrl-C reaches it by itself; a SIGTERM to this process ends it."""
    process = subprocess.Popen([*NAMESPACES.split(), *command], env={**os.environ, **env})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.kill())
    return process.wait()


def furnish() -> None:
    """Brings up the loopback interface as a network card would be, and makes the folders."""
    for command in (
        "ip link set lo up",
        "ip link set lo mtu 1500",
        "ethtool -K lo tso off gso off gro off",
        f"mount -t tmpfs -o mode=755 lab {MOUNT}",
    ):
        subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL)
    for folder in (ETC, LOG, TRUTH, STAGING, ROOT / "tasks", *(STORES / name for name in ("fast", "slow", "tiny"))):
        folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TINY_STORE_SIZE}", "tiny", str(STORES / "tiny")], check=True)
