"""The routes of Keystone, Glance, its registry and Swift, as a table.

Sources: `glance/api/v2/router.py`, `glance/api/v1/router.py`, `glance/registry/api/v1/__init__.py`,
`keystone/api/*.py`, the Object Storage API reference. `{name}` takes one segment, `{*name}` all that follow. Glance's
v2 stands for each of v2.0 to v2.18. Operations are the OpenStack client's words where it has one.
"""

from __future__ import annotations

__all__ = ["TEMPLATES"]

_GLANCE = """
GET          /                                                  version-list
GET          /versions                                          version-list
GET|HEAD     /healthcheck                                       healthcheck
GET          /v2                                                version-show
GET          /v2/images                                         image-list
POST         /v2/images                                         image-create
GET          /v2/images/{image_id}                              image-show
PATCH        /v2/images/{image_id}                              image-update
DELETE       /v2/images/{image_id}                              image-delete
GET          /v2/images/{image_id}/tasks                        image-task-list
GET          /v2/images/{image_id}/file                         image-download
PUT          /v2/images/{image_id}/file                         image-upload
PUT          /v2/images/{image_id}/stage                        image-stage
POST         /v2/images/{image_id}/import                       image-import
POST         /v2/images/{image_id}/actions/deactivate           image-deactivate
POST         /v2/images/{image_id}/actions/reactivate           image-reactivate
GET          /v2/images/{image_id}/locations                    location-list
POST         /v2/images/{image_id}/locations                    location-add
PUT          /v2/images/{image_id}/tags/{tag}                   image-tag-add
DELETE       /v2/images/{image_id}/tags/{tag}                   image-tag-delete
GET          /v2/images/{image_id}/members                      member-list
POST         /v2/images/{image_id}/members                      member-create
GET          /v2/images/{image_id}/members/{member_id}          member-show
PUT          /v2/images/{image_id}/members/{member_id}          member-update
DELETE       /v2/images/{image_id}/members/{member_id}          member-delete
DELETE       /v2/stores/{store_id}/{image_id}                   store-image-delete
GET          /v2/tasks                                          task-list
POST         /v2/tasks                                          task-create
GET          /v2/tasks/{task_id}                                task-show
DELETE       /v2/tasks/{task_id}                                task-delete
GET          /v2/info/import                                    import-info
GET          /v2/info/stores                                    stores-info
GET          /v2/info/stores/detail                             stores-info
GET          /v2/info/usage                                     usage-show
GET          /v2/cache                                          cached-image-list
DELETE       /v2/cache                                          cached-image-clear
PUT          /v2/cache/{image_id}                               cached-image-queue
DELETE       /v2/cache/{image_id}                               cached-image-delete
GET          /v2/cache/nodes/{image_id}                         cached-image-nodes
POST         /v2/cache/clean                                    cache-clean
POST         /v2/cache/prune                                    cache-prune
GET          /v2/schemas/{schema}                               schema-show
GET          /v2/schemas/metadefs/{schema}                      schema-show
GET          /v2/metadefs/resource_types                        metadef-resource-type-list
GET          /v2/metadefs/namespaces                            metadef-namespace-list
POST         /v2/metadefs/namespaces                            metadef-namespace-create
GET          /v2/metadefs/namespaces/{namespace}                metadef-namespace-show
PUT          /v2/metadefs/namespaces/{namespace}                metadef-namespace-update
DELETE       /v2/metadefs/namespaces/{namespace}                metadef-namespace-delete
"""
_METADEF_PARTS = (
    ("properties", "property"),
    ("objects", "object"),
    ("tags", "tag"),
    ("resource_types", "resource-type-association"),
)
_IMAGES_V1 = """
GET|HEAD     /v1/images                                         image-list
POST         /v1/images                                         image-create
GET|HEAD     /v1/images/detail                                  image-list
HEAD         /v1/images/{image_id}                              image-show
GET          /v1/images/{image_id}                              image-download
PUT          /v1/images/{image_id}                              image-update
DELETE       /v1/images/{image_id}                              image-delete
GET          /v1/images/{image_id}/members                      member-list
PUT          /v1/images/{image_id}/members                      member-update
PUT          /v1/images/{image_id}/members/{member_id}          member-create
DELETE       /v1/images/{image_id}/members/{member_id}          member-delete
GET          /v1/shared-images/{member_id}                      shared-image-list
"""
_KEYSTONE = """
GET          /                                                  version-list
GET          /v3                                                version-show
GET          /v2.0                                              version-show
GET|HEAD     /healthcheck                                       healthcheck
POST         /v3/auth/tokens                                    token-issue
GET|HEAD     /v3/auth/tokens                                    token-validate
DELETE       /v3/auth/tokens                                    token-revoke
GET|HEAD     /v3/auth/catalog                                   catalog-list
GET|HEAD     /v3/auth/projects                                  project-list
GET|HEAD     /v3/auth/domains                                   domain-list
GET|HEAD     /v3/auth/system                                    system-scope-list
POST         /v3/ec2tokens                                      ec2-token-issue
POST         /v3/s3tokens                                       s3-token-issue
GET          /v3/OS-TRUST/trusts                                trust-list
POST         /v3/OS-TRUST/trusts                                trust-create
GET|HEAD     /v3/OS-TRUST/trusts/{trust_id}                     trust-show
DELETE       /v3/OS-TRUST/trusts/{trust_id}                     trust-delete
GET          /v3/OS-TRUST/trusts/{trust_id}/roles               trust-role-list
GET          /v3/role_assignments                               role-assignment-list
GET          /v3/limits/model                                   limit-model-show
POST         /v2.0/tokens                                       token-issue
GET|HEAD     /v2.0/tokens/{token_id}                            token-validate
DELETE       /v2.0/tokens/{token_id}                            token-revoke
GET          /v2.0/tokens/{token_id}/endpoints                  endpoint-list
GET          /v2.0/tokens/revoked                               token-revoked-list
GET          /v2.0/tenants                                      project-list
GET          /v2.0/extensions                                   extension-list
"""
_KEYSTONE_COLLECTIONS = (
    ("users", "user"),
    ("projects", "project"),
    ("domains", "domain"),
    ("roles", "role"),
    ("groups", "group"),
    ("services", "service"),
    ("endpoints", "endpoint"),
    ("regions", "region"),
    ("credentials", "credential"),
    ("policies", "policy"),
    ("limits", "limit"),
    ("registered_limits", "registered-limit"),
)
_SWIFT = """
GET          /info                                              info-show
GET          /healthcheck                                       healthcheck
GET          /auth/v1.0                                         token-issue
GET|HEAD     /v1/{account}                                      container-list
POST         /v1/{account}                                      account-set
GET          /v1/{account}/{container}                          object-list
HEAD         /v1/{account}/{container}                          container-show
PUT          /v1/{account}/{container}                          container-create
POST         /v1/{account}/{container}                          container-set
DELETE       /v1/{account}/{container}                          container-delete
GET          /v1/{account}/{container}/{*object}                object-save
HEAD         /v1/{account}/{container}/{*object}                object-show
PUT          /v1/{account}/{container}/{*object}                object-create
POST         /v1/{account}/{container}/{*object}                object-set
DELETE       /v1/{account}/{container}/{*object}                object-delete
"""

Template = tuple[str, str, str, str]
"""(service, methods joined by |, template, operation)."""


def _rows(service: str, table: str) -> list[Template]:
    rows = []
    for line in table.strip().splitlines():
        methods, template, operation = line.split()
        rows.append((service, methods, template, operation))
    return rows


def _collection(service: str, path: str, item: str, noun: str, update: str) -> list[Template]:
    return [
        (service, "GET", path, f"{noun}-list"),
        (service, "POST", path, f"{noun}-create"),
        (service, "GET|HEAD", f"{path}/{item}", f"{noun}-show"),
        (service, update, f"{path}/{item}", f"{noun}-update"),
        (service, "DELETE", f"{path}/{item}", f"{noun}-delete"),
    ]


def _registry() -> list[Template]:
    """The registry has v1's paths, with or without /v1, and passes rows instead of image data."""
    rows = []
    for _, methods, template, operation in _rows("registry", _IMAGES_V1):
        known = "image-show" if operation == "image-download" else operation
        rows.append(("registry", methods, template, known))
        rows.append(("registry", methods, template.removeprefix("/v1"), known))
    return [*rows, ("registry", "POST", "/rpc", "registry-rpc"), ("registry", "GET", "/", "image-list")]


TEMPLATES: tuple[Template, ...] = (
    *_rows("glance", _GLANCE),
    *(
        row
        for path, noun in _METADEF_PARTS
        for row in _collection(
            "glance", f"/v2/metadefs/namespaces/{{namespace}}/{path}", "{name}", f"metadef-{noun}", "PUT"
        )
    ),
    *_rows("glance", _IMAGES_V1),
    *_rows("keystone", _KEYSTONE),
    *(
        row
        for path, noun in _KEYSTONE_COLLECTIONS
        for row in _collection("keystone", f"/v3/{path}", f"{{{noun.replace('-', '_')}_id}}", noun, "PATCH")
    ),
    *_rows("swift", _SWIFT),
    *_registry(),
)
"""All routes."""
