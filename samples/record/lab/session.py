"""What a scenario gets to work with."""

import json
from dataclasses import dataclass

import requests

from lab import place
from lab.calls import CallLog
from lab.services import PROJECTS, credentials


@dataclass(frozen=True)
class Lab:
    """A running lab: its public addresses, the log of calls, and the choices of the scenario."""

    calls: CallLog
    scheme: str
    seed: int
    clients: int
    hot: float
    seconds: float

    @property
    def keystone(self) -> str:
        return f"{self.scheme}://{place.PROXY}:{place.KEYSTONE_PUBLIC}"

    @property
    def glance(self) -> str:
        return f"{self.scheme}://{place.PROXY}:{place.GLANCE_PUBLIC}"

    def token(self, user: str = "admin", api: requests.Session | None = None) -> str:
        """A new token of the administrator's or of a project's member."""
        password = place.USER_PASSWORD if user in PROJECTS else place.ADMIN_PASSWORD
        answer = (api or requests.Session()).post(
            f"{self.keystone}/v3/auth/tokens", json=credentials(user, user, password)
        )
        answer.raise_for_status()
        return str(answer.headers["X-Subject-Token"])


class Strand:
    """One client's calls to Glance: a token and one keep-alive connection."""

    def __init__(self, lab: Lab, user: str = "admin", token: str | None = None) -> None:
        self.lab = lab
        self.api = requests.Session()
        self.token = token or lab.token(user, self.api)

    def reconnect(self) -> None:
        self.api.close()
        self.api = requests.Session()

    def call(
        self,
        method: str,
        path: str,
        *,
        json_body: object = None,
        data: object = None,
        content_type: str = "application/json",
        **headers: str,
    ) -> requests.Response:
        """One call to Glance; a JSON body, or data as they are (bytes with a length, an iterator chunked)."""
        fields = {"X-Auth-Token": self.token} | {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(json_body) if json_body is not None else data
        if body is not None:
            fields["Content-Type"] = content_type
        return self.api.request(method, self.lab.glance + path, data=body, headers=fields, timeout=60)

    def create(self, name: str, **fields: object) -> str:
        """Creates an image, raw and bare unless said otherwise; its id, empty if it is refused."""
        wanted = {"name": name, "disk_format": "raw", "container_format": "bare", **fields}
        answer = self.call("POST", "/v2/images", json_body=wanted)
        return str(answer.json()["id"]) if answer.status_code == 201 else ""

    def upload(self, image: str, data: object) -> int:
        """PUT file; the status of the answer."""
        answer = self.call("PUT", f"/v2/images/{image}/file", data=data, content_type="application/octet-stream")
        return int(answer.status_code)
