"""Other services on the same database server: what a reader of the capture must not take for Glance's.

nova's instances name the images they were started from, so Glance's image ids stand in nova's statements too. Some
connections are older than the capture, others come and go.
"""

import random
import threading
import time

import pymysql

from lab import database, place

TABLES = {
    "nova": "instances (uuid VARCHAR(36) PRIMARY KEY, vm_state VARCHAR(16), image_ref VARCHAR(36))",
    "neutron": "ports (id VARCHAR(36) PRIMARY KEY, name VARCHAR(16), status VARCHAR(16), device_id VARCHAR(36))",
}
QUESTIONS = {
    "nova": "SELECT instances.uuid AS instances_uuid, instances.vm_state AS instances_vm_state FROM instances"
    " WHERE instances.image_ref = %s",
    "neutron": "SELECT ports.id, ports.status FROM ports WHERE ports.device_id = %s",
}
CHANGES = {
    "nova": ("INSERT INTO instances VALUES (uuid(), 'building', %s)", "UPDATE instances SET vm_state='active'"),
    "neutron": ("INSERT INTO ports VALUES (uuid(), 'p', 'DOWN', %s)", "UPDATE ports SET status='ACTIVE'"),
}


class Foreign:
    """Both services at work, from now until `stop`; their databases are at `address`."""

    def __init__(self, address: str, glance_schema: str) -> None:
        self.address, self.glance_schema = address, glance_schema
        self.over, self.changing = threading.Event(), threading.Lock()
        self.threads = []
        for number, service in enumerate(TABLES):
            database.create_schema(service)
            with database.session(service) as cursor:
                cursor.execute(f"CREATE TABLE {TABLES[service]}")
            for stays in (True, False):
                thread = threading.Thread(target=self.work, args=(service, stays, number), daemon=True)
                thread.start()
                self.threads.append(thread)
        time.sleep(1)  # the connections that stay are older than the capture

    def work(self, service: str, stays: bool, seed: int) -> None:
        """Questions and changes over one connection, or over a new one for each unit of work."""
        chance = random.Random(seed)
        connection = None
        while not self.over.wait(chance.random() * 0.08):
            connection = connection or self.connect(service)
            image = self.some_image(chance)
            with connection.cursor() as cursor:
                for _ in range(chance.randrange(1, 4)):
                    cursor.execute(QUESTIONS[service], (image,))
                if chance.random() < 0.3:
                    insert, update = CHANGES[service]
                    with self.changing:  # an update of all rows would end in deadlocks
                        cursor.execute(insert, (image,))
                        cursor.execute(update)
                        connection.commit()
                else:
                    connection.rollback()
            if not stays:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def connect(self, service: str) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        password = place.DATABASE_PASSWORD
        return pymysql.connect(host=self.address, port=place.MYSQL, user=service, password=password, database=service)

    def some_image(self, chance: random.Random) -> str:
        with database.session(self.glance_schema) as cursor:
            cursor.execute("SELECT id FROM images ORDER BY created_at DESC LIMIT 5")
            images = [row["id"] for row in cursor.fetchall()]
        return chance.choice(images) if images else "0"

    def stop(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(10)
