"""Who may do what: the policies of resources, and the roles that they grant.

A permission is held on a resource if a role in its policy, or in that of a resource above it, contains it. Whoever has
no token of a service account owns the project and may do everything. Policies are kept in memory: a restart restores
those that the program was given.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from gcp_emulators.core.errors import GoogleApiError

EVERYONE = "allUsers"
Bindings = dict[str, set[str]]  # role -> members


class IamPolicies:
    """The policies of one project's resources.

    roles: role to its permissions. grants: resource, role, member. resources: those without a grant. Names are
    Google's: `projects/p`, `projects/p/topics/t`, `projects/p/datasets/d`; buckets are `projects/_/buckets/b`. A
    resource below a known one, such as a table, is known too. accounts: e-mail addresses of the service accounts.
    """

    def __init__(
        self,
        project: str,
        *,
        roles: Mapping[str, Collection[str]],
        grants: Iterable[tuple[str, str, str]],
        accounts: Collection[str],
        resources: Iterable[str] = (),
    ) -> None:
        self._root = f"projects/{project}"
        self._roles = {name: frozenset(permissions) for name, permissions in roles.items()}
        self._valid = frozenset().union(*self._roles.values())
        self._accounts = frozenset(accounts)
        self._lock = threading.Lock()
        self._tokens: dict[str, str] = {}
        self._policies: dict[str, Bindings] = {name: {} for name in (self._root, *resources)}
        for resource, role, member in grants:
            self._policies.setdefault(resource, {}).setdefault(role, set()).add(member)

    def issue_token(self, email: str) -> str:
        """Return a token that acts as a service account. Raises 404 for an unknown one."""
        if email not in self._accounts:
            raise GoogleApiError(404, f"Service account {email} does not exist.")
        token = secrets.token_hex(16)
        with self._lock:
            self._tokens[token] = email
        return token

    def account_of(self, authorization: str) -> str | None:
        """Return the service account whose token an Authorization header holds; None for the project's owner."""
        return self._tokens.get(authorization.removeprefix("Bearer ").strip())

    def held(self, resource: str, permissions: Iterable[str], account: str | None) -> list[str]:
        """Return those of the permissions that an account holds on a resource; None is the owner, who holds all.

        Raises 404 for an unknown resource and 400 for a permission that no role contains.
        """
        asked = list(permissions)
        if wrong := [name for name in asked if name not in self._valid]:
            raise GoogleApiError(400, f"Permission {wrong[0]} is not valid for this resource.")
        chain = list(self._chain(resource))
        if account is None:
            return asked
        members = {f"serviceAccount:{account}", EVERYONE}
        with self._lock:
            granted = {
                permission
                for name in chain
                for role, holders in self._policies.get(name, {}).items()
                if holders & members
                for permission in self._roles.get(role, ())
            }
        return [name for name in asked if name in granted]

    def policy(self, resource: str) -> dict[str, Any]:
        """Return a resource's own policy. Raises 404 for an unknown resource."""
        known = list(self._chain(resource))
        with self._lock:
            bindings = self._policies.get(known[0], {})
            listed = [
                {"role": role, "members": sorted(members)}
                for role, members in sorted(bindings.items())
                if members
            ]
        text = json.dumps(listed).encode()
        return {"version": 1, "etag": hashlib.sha256(text).hexdigest()[:16], "bindings": listed}

    def set_policy(self, resource: str, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Replace a resource's policy and return it. Raises 404, and 409 if the etag is that of an older policy."""
        current = self.policy(resource)
        if policy.get("etag") not in (None, "", current["etag"]):
            raise GoogleApiError(
                409, "There were concurrent policy changes; read the policy again."
            )
        bindings: Bindings = {}
        for binding in policy.get("bindings", ()):
            bindings.setdefault(str(binding["role"]), set()).update(binding.get("members", ()))
        with self._lock:
            self._policies[resource] = bindings
        return self.policy(resource)

    def _chain(self, resource: str) -> Iterator[str]:
        """Yield a resource and those above it, up to the project. Raises 404 if only the project is known of them."""
        parts = resource.split("/")
        names = ["/".join(parts[:end]) for end in range(len(parts), 2, -2)]
        if resource != self._root and not any(name in self._policies for name in names):
            raise GoogleApiError(404, f"Resource {resource} was not found.")
        yield from names
        yield self._root
