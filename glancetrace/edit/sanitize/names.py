"""Names of images, users, projects, domains and hosts: where they stand, and which of them tell nothing.

A name is learned where its place says what it is: a header of keystonemiddleware, the host of a URL, `name` and its
like in JSON and in a query, the name column of a table that holds names, in statements and rows. Learned names are
looked for everywhere else, as whole words. What every OpenStack has stays: its services, their users, `admin`,
`default`; so do MySQL's users and schemas, by which analysis tells the services apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from glancetrace.edit.sanitize.spans import Span, values_of_insert

__all__ = ["find_labels", "find_names", "is_common", "is_name_column"]

_TABLES = frozenset({"images", "project", "user", "local_user", "nonlocal_user", "federated_user", "domain", "group"})
_KEYS = (
    "name|user_?name|project_name|tenant_?name|domain_name|user_domain_name|project_domain_name|display_name|host_?name"
)
_HEADER = re.compile(
    r"(?:^|\n)(?:x-(?:user|project|tenant|domain|user-domain|project-domain)-name|x-user|x-tenant|x-image-meta-name)"
    r"[ \t]*:[ \t]*([^\r\n]*[^\r\n\s])",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?:(?:^|\n)(?:host|x-forwarded-host)[ \t]*:[ \t]*|://(?:[^/\s@\"']*@)?)([A-Za-z0-9.\-]*[A-Za-z][A-Za-z0-9.\-]*)", re.IGNORECASE)  # fmt: skip # noqa: E501
_JSON = re.compile(rf'"(?:{_KEYS})\\?"\s*:\s*\\?"((?:[^"\\]|\\(?!"\s*[,}}])[\s\S])+)', re.IGNORECASE)
_PATCH = re.compile(
    r'"path"\s*:\s*"/name"[^{}]*?"value"\s*:\s*"((?:[^"\\]|\\.)+)"'
    r'|"value"\s*:\s*"((?:[^"\\]|\\.)+)"[^{}]*?"path"\s*:\s*"/name"'
)
_QUERY = re.compile(rf"[?&](?:{_KEYS})=(?:(?:in|n?eq|like):)?([^&\s\"'#]+)", re.IGNORECASE)
_SQL = re.compile(
    rf"(?:`?\b(?:{'|'.join(sorted(_TABLES))})(?:_[0-9]+)?`?\.|\bUPDATE\s+`?(?:{'|'.join(sorted(_TABLES))})`?\s+SET\b[^']*?(?:'[^']*'[^']*?)*?)"
    r"`?name`?\s*(?:=|LIKE|IN\s*\()\s*'((?:[^'\\]|\\.|'')+)'",
    re.IGNORECASE,
)
_INSERT = re.compile(
    rf"\s*(?:INSERT|REPLACE)\s+INTO\s+`?(?:\w+`?\.`?)?(?:{'|'.join(sorted(_TABLES))})`?\s*\(", re.IGNORECASE
)
_LABEL = re.compile(r"[^.]+")
_COMMON_WORDS = (
    "openstack keystone glance nova neutron cinder cinderv2 cinderv3 swift heat heat-cfn barbican placement "
    "octavia ironic aodh gnocchi ceilometer panko sahara trove designate magnum manila mistral zaqar admin service "
    "services default member reader manager user users project projects domain domains image images name names "
    "status state queued saving active killed deleted pending_delete deactivated importing uploading public "
    "private shared community bare raw qcow2 vmdk iso true false null none localhost internal region regionone "
    "identity compute network volume volumev2 volumev3 object-store baremetal orchestration metering alarming "
    "load-balancer token tokens password method methods roles role group groups endpoint endpoints catalog "
    "interface links self next previous file files tags tag members location locations stage import tasks task "
    "schema schemas properties property value values table tables select insert update delete from where into set "
    "and order limit begin commit rollback http https content length type json application host accept date server "
    "connection close python local_user checksum size owner visibility min_disk min_ram created_at updated_at "
    "protected id root disk_format container_format os_hash_algo os_hash_value os_hidden virtual_size md5 sha256 "
    "sha512 apache nginx"
)
_COMMON = frozenset(_COMMON_WORDS.split())


def is_common(name: str) -> bool:
    """A name that every OpenStack has, or a word of its protocols."""
    return name.lower() in _COMMON or not any(map(str.isalpha, name))


def is_name_column(table: str, column: str) -> bool:
    """The column of a table holds names that somebody gave."""
    return column == "name" and table in _TABLES


def find_labels(name: str) -> Iterator[tuple[int, int]]:
    """The parts of a name that become pseudonyms on their own: the labels of a host's name, each equal in all names."""
    yield from (match.span() for match in _LABEL.finditer(name) if not is_common(match[0]))


def find_names(text: str) -> Iterator[Span]:
    """Where names stand in a head, a body, a statement or a value."""
    for pattern, spelling in ((_HEADER, "plain"), (_HOST, "plain"), (_JSON, "json"), (_QUERY, "url"), (_SQL, "sql")):
        for match in pattern.finditer(text):
            yield Span(*match.span(1), "name", spelling)
    if '"/name"' in text:
        for match in _PATCH.finditer(text):
            yield Span(*match.span(1 if match[1] else 2), "name", "json")
    if _INSERT.match(text):
        for span in values_of_insert(text, lambda column: column == "name"):
            yield span._replace(kind="name")
