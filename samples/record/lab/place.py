"""Where the lab is: its namespaces, its addresses, its folders, its passwords.

The recorder runs in a network, a mount and a process namespace of its own. When it ends, however it ends, the kernel
ends every process in them and takes away the mounts; nothing of the machine outside is changed or seen in a capture.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

CLIENT, PROXY, SERVICES, DATABASE, MIRROR = "127.0.0.1", "127.0.0.20", "127.0.0.19", "127.0.0.30", "127.0.0.40"
KEYSTONE_PUBLIC, GLANCE_PUBLIC, KEYSTONE, GLANCE, MYSQL, MIRROR_PORT = 13000, 13292, 5000, 9292, 3306, 8088
ALL_PORTS = (KEYSTONE_PUBLIC, GLANCE_PUBLIC, MYSQL, GLANCE, KEYSTONE)

ADMIN_PASSWORD = "labadminpass"
SERVICE_PASSWORD = "labservicepass"
USER_PASSWORD = "labuserpass"
DATABASE_PASSWORD = "labdbpass"

ROOT = Path("/srv/glancelab")  # on a tmpfs of the mount namespace
ETC, LOG, TRUTH, STORES, STAGING = (ROOT / name for name in ("etc", "log", "truth", "store", "staging"))
SOCKET = ROOT / "mysqld.sock"
TINY_STORE_SIZE = "300k"


def enter(python: Path, arguments: list[str]) -> None:
    """Replaces this process by `python` with the same script in new namespaces. Does not return."""
    namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
    os.execvp("unshare", ["unshare", *namespaces, str(python), *arguments])


def furnish() -> None:
    """Brings up the loopback interface as a network card would be, and makes the folders."""
    for command in (
        "ip link set lo up",
        "ip link set lo mtu 1500",
        "ethtool -K lo tso off gso off gro off",
        "mount -t tmpfs -o mode=755 lab /srv",
    ):
        subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL)
    for folder in (ETC, LOG, TRUTH, STAGING, ROOT / "tasks", *(STORES / name for name in ("fast", "slow", "tiny"))):
        folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={TINY_STORE_SIZE}", "tiny", str(STORES / "tiny")], check=True)


def keep_logs(where: Path) -> None:
    shutil.copytree(LOG, where, dirs_exist_ok=True)
    print(f"logs of the services: {where}", file=sys.stderr)
