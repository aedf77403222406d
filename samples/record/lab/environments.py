"""Virtual environments of versions that work together, one for each era of Glance; 3 has Keystone and clients too.

Eras are told apart by how Glance uses its database: 1 is up to release 26, 2 is 27 to 30, 3 is 31 and newer.
"""

import subprocess
import sys
from pathlib import Path

CURRENT = """
glance==33.0.0 glance_store==5.7.0 keystone==30.0.0 keystonemiddleware==13.0.1 oslo.db==18.1.1 SQLAlchemy==2.1.9
PyMySQL==1.2.4 gunicorn==27.0.1 python-glanceclient==4.13.0 cryptography requests
"""
ERA_2 = """
glance==30.0.0 glance_store<5 SQLAlchemy>=2,<2.1 PyMySQL==1.1.1 eventlet==0.36.1 setuptools<80 oslo.db>=16,<18
oslo.utils<9 oslo.service<4.2 oslo.messaging<17 oslo.context<6 oslo.log<8 oslo.middleware<7 oslo.config<10
oslo.concurrency<8 oslo.policy<5 oslo.serialization<6 oslo.limit<3 oslo.cache<3.5 keystonemiddleware<10.8
keystoneauth1<5.3 futurist==2.4.1 openstacksdk<5 urllib3<2.3 cryptography python-memcached
"""
ERA_1 = """
glance==26.0.0 glance_store<4.7 SQLAlchemy<2 PyMySQL==1.0.3 eventlet==0.36.1 setuptools<80 oslo.db<13 oslo.utils<7
oslo.service<3.5 oslo.messaging<15 oslo.context<5.4 oslo.log<5.6 oslo.middleware<6 oslo.config<9.3 oslo.concurrency<6
oslo.policy<4.4 oslo.serialization<5.4 oslo.limit<2.4 oslo.cache<3.5 oslo.metrics<0.9 keystonemiddleware<10.6
keystoneauth1<5.3 futurist==2.4.1 openstacksdk<2 urllib3<2.3 cryptography python-memcached
"""
GLANCE = {1: ERA_1, 2: ERA_2, 3: CURRENT}


def python(cache: Path, era: int) -> Path:
    """The interpreter of the virtual environment of Glance's `era` below `cache`, made if it is not there.

    Raises subprocess.CalledProcessError if it cannot be made.
    """
    where = cache / f"era{era}"
    wanted = " ".join(GLANCE[era].split())
    stamp = where / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing Glance of era {era} into {where}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(where)], check=True)
        pip = [str(where / "bin/pip"), "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted.split()], check=True)
        stamp.write_text(wanted)
    return where / "bin/python"
