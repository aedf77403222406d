"""Whose statement it is, and what it is for: request, transaction, ping, connection set-up, health check.

Several services share a database server. The schema or user of the handshake tells them apart; of a session that began
before the capture only table names are known, and of these only such as no two services have. Table names are from the
services' `models.py` (Glance, Keystone, Nova, Neutron, Cinder, Heat, Ironic, Placement).
"""

from __future__ import annotations

from functools import lru_cache

from glancetrace.sql.statement import Shape, Statement

__all__ = ["kind_of_statement", "service_of", "wanted_columns"]

_GLANCE_TABLES = frozenset(
    {
        "images", "image_properties", "image_locations", "image_members", "image_tags", "task_info", "cached_images",
        "node_reference", "metadef_namespaces", "metadef_objects", "metadef_properties", "metadef_tags",
        "metadef_resource_types", "metadef_namespace_resource_types",
    }
)  # fmt: skip
_KEYSTONE_TABLES = frozenset(
    {
        "project", "project_tag", "project_option", "project_endpoint", "project_endpoint_group", "local_user",
        "nonlocal_user", "federated_user", "password", "user_option", "user_group_membership", "role", "role_option",
        "expiring_user_group_membership", "implied_role", "assignment", "system_assignment", "endpoint",
        "endpoint_group", "revocation_event", "trust_role", "id_mapping", "application_credential",
        "application_credential_role", "application_credential_access_rule", "access_rule", "whitelisted_config",
        "sensitive_config", "config_register", "identity_provider", "idp_remote_ids", "federation_protocol",
        "service_provider", "registered_limit", "policy_association", "request_token", "access_token", "consumer",
    }
)  # fmt: skip
_OTHER_TABLES = frozenset(
    {
        "instances", "instance_extra", "instance_system_metadata", "instance_info_caches", "instance_metadata",
        "block_device_mapping", "compute_nodes", "instance_mappings", "cell_mappings", "host_mappings",
        "request_specs", "build_requests", "migrations", "virtual_interfaces", "resource_providers", "inventories",
        "allocations", "consumers", "ports", "networks", "networksegments", "subnets", "standardattributes",
        "ml2_port_bindings", "ml2_port_binding_levels", "ipallocations", "agents", "routers", "floatingips",
        "securitygroups", "volumes", "volume_types", "snapshots", "volume_attachment", "stack", "raw_template",
        "resource", "software_config", "nodes", "node_tags", "conductors", "chassis", "load_balancer", "amphora",
    }
)  # fmt: skip
_OTHER_NAMES = (
    "nova", "neutron", "cinder", "heat", "ironic", "placement", "octavia", "manila", "designate", "barbican", "aodh",
    "gnocchi", "panko", "ceilometer", "mistral", "zaqar", "magnum", "sahara", "trove", "murano", "masakari", "swift",
    "ovs_neutron", "cell0",
)  # fmt: skip
_OTHER_SCHEMAS = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
_HEALTH_USERS = ("haproxy", "clustercheck", "healthcheck", "mysqlchk", "mysql-check", "monitor")
_PING_COMMANDS = frozenset({"COM_PING"})
_STATEMENT_COMMANDS = frozenset(
    {
        "COM_QUERY", "COM_STMT_PREPARE", "COM_STMT_EXECUTE", "COM_STMT_SEND_LONG_DATA", "COM_STMT_RESET",
        "COM_STMT_CLOSE", "COM_STMT_FETCH", "COM_STMT_BULK_EXECUTE",
    }
)  # fmt: skip
_TRANSACTION = frozenset({"COMMIT", "ROLLBACK", "BEGIN", "SAVEPOINT", "RELEASE"})
_SETUP = frozenset({"SET", "SHOW", "USE", "DESCRIBE", "DESC", "EXPLAIN", "HELP"})


@lru_cache(maxsize=256)
def _service_of_name(name: str) -> str | None:
    """Service that a schema or user is named for."""
    lower = name.lower()
    if "glance" in lower:
        return "glance"
    if "keystone" in lower:
        return "keystone"
    if lower in _OTHER_SCHEMAS or any(other in lower for other in _OTHER_NAMES):
        return "other"
    return None


@lru_cache(maxsize=4096)
def _service_of_shape(shape: Shape) -> tuple[str | None, str | None]:
    """Service by the schemas that a statement writes out, and by its tables."""
    by_schema = next(filter(None, map(_service_of_name, shape.schemas)), None)
    for tables, service in ((_GLANCE_TABLES, "glance"), (_KEYSTONE_TABLES, "keystone"), (_OTHER_TABLES, "other")):
        if not tables.isdisjoint(shape.tables):
            return by_schema, service
    return by_schema, None


def service_of(shape: Shape | None, user: str | None, schema: str | None) -> str | None:
    """Service that a statement belongs to: "glance", "keystone", "other", or None if nothing tells.

    What is written in the statement (`update glance.images ...`) counts first, then the session's schema, its user,
    and last the tables. The caller keeps a session's answer for its statements that say nothing themselves.

    Args:
        shape: the statement, None for a command without text.
        user, schema: of the session, None where the handshake was not seen.
    """
    by_schema, by_tables = _service_of_shape(shape) if shape is not None else (None, None)
    if by_schema is not None:
        return by_schema
    for known in (schema, user):
        service = _service_of_name(known) if known else None
        if service is not None:
            return service
    return by_tables


@lru_cache(maxsize=256)
def _is_health_user(user: str) -> bool:
    lower = user.lower()
    return any(name in lower for name in _HEALTH_USERS)


def kind_of_statement(command: str, statement: Statement | None, user: str | None = None) -> str:
    """What a command is for: "ping", "setup", "health", "transaction" or "request".

    Args:
        command: "COM_QUERY", "COM_PING", ...
        statement: its text taken apart; None without text.
        user: the session's user, None if unknown.
    """
    if user is not None and _is_health_user(user):
        return "health"
    if command in _PING_COMMANDS:
        return "ping"
    if command not in _STATEMENT_COMMANDS:
        return "setup"
    if statement is None:
        return "request"
    shape = statement.shape
    if shape.operation in _TRANSACTION:
        return "transaction"
    if shape.operation == "SHOW":
        return "health" if any("wsrep" in str(value) for value in statement.literals) else "setup"
    if shape.operation in _SETUP:
        return "setup"
    if shape.operation == "SELECT" and not shape.tables and shape.parsed:
        return "ping" if shape.text.upper() in ("SELECT ?", "SELECT ? LIMIT ?") else "setup"
    if shape.schemas and "information_schema" in (name.lower() for name in shape.schemas):
        return "setup"
    return "request"


_TABLE_COLUMNS = {
    "images": (
        "id", "name", "status", "size", "checksum", "os_hash_algo", "os_hash_value", "owner", "visibility",
        "updated_at", "deleted",
    ),
    "image_properties": ("id", "image_id", "name", "value", "deleted"),
    "image_locations": ("id", "image_id", "value", "status", "deleted"),
    "image_tags": ("id", "image_id", "value", "deleted"),
    "image_members": ("id", "image_id", "member", "status", "deleted"),
    "tasks": ("id", "type", "status", "owner", "image_id", "request_id", "user_id", "updated_at", "deleted"),
    "task_info": ("task_id",),
}  # fmt: skip
_WANTED = frozenset(
    f"{outer}{table}{alias}_{column}"
    for table, columns in _TABLE_COLUMNS.items()
    for column in columns
    for outer in ("", "anon_1_", "anon_1_anon_2_")
    for alias in ("", "_1", "_2")
) | {column for columns in _TABLE_COLUMNS.values() for column in columns}
_PREFIX = 160


def wanted_columns(sql: str, schema: str | None) -> frozenset[str] | None:
    """Result columns of a statement whose values are worth keeping: Glance's reads of images and what hangs on them.

    The names are as SQLAlchemy labels them (`images_id`, `anon_1_images_status`, `image_properties_1_name`) and as they
    stand without a label (`id`). None: no rows are wanted. See `ColumnPolicy` in `mysql/command`.
    """
    if schema is not None and _service_of_name(schema) not in (None, "glance"):
        return None
    prefix = sql[:_PREFIX]
    quote = prefix.find("'")
    return _wanted_by_prefix(prefix if quote < 0 else prefix[:quote])


@lru_cache(maxsize=2048)
def _wanted_by_prefix(prefix: str) -> frozenset[str] | None:
    """The beginning of a statement says what it reads: its columns' tables come first in any such text."""
    words = prefix.lower().replace("`", " ").replace(".", " ").replace("(", " ").replace(",", " ").split()
    if not words or words[0] != "select":
        return None
    if not _TABLE_COLUMNS.keys().isdisjoint(words):
        return _WANTED
    labels = [word for word in words if word.startswith("anon_")]
    return _WANTED if any("_images_" in label or "_image_" in label for label in labels) else None
