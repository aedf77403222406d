"""Virtual environments of versions that work together, one for each era of Glance; 3 has Keystone and clients too.

Eras are told apart by how Glance uses its database: 1 is up to release 26, 2 is 27 to 30, 3 is 31 and newer. Every
package is pinned, in `versions/`: old releases of Glance break on new libraries, eventlet's ones above all.
"""

import subprocess
import sys
from pathlib import Path

VERSIONS = Path(__file__).resolve().parent.parent / "versions"


def python(cache: Path, era: int) -> Path:
    """The interpreter of the virtual environment of Glance's `era` below `cache`, made if it is not there.

    Raises subprocess.CalledProcessError if it cannot be made.
    """
    where, versions = cache / f"era{era}", VERSIONS / f"era{era}.txt"
    stamp = where / "installed.txt"
    if not stamp.exists() or stamp.read_text() != versions.read_text():
        print(f"installing Glance of era {era} into {where}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(where)], check=True)
        pip = [str(where / "bin/pip"), "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "-r", str(versions)], check=True)
        stamp.write_text(versions.read_text())
    return where / "bin/python"
