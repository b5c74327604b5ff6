"""All checks in their order, and the repair of what they find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from velocast.core.datetimes import rfc3339
from velocast_cli.doctor import access, backups, champion, data, deployment, operations
from velocast_cli.doctor.findings import Finding, FindingKind, Repair, one_line, unknown
from velocast_cli.doctor.repairs import MENDERS
from velocast_cli.doctor.system import CALL_ERRORS, System

Examine = Callable[[System], list[Finding]]
Say = Callable[[str], None]

CHECKS: dict[str, Examine] = {
    "settings": deployment.examine_settings,
    "logins": access.examine_logins,
    "apis": deployment.examine_services,
    "permissions": access.examine_permissions,
    "secrets": deployment.examine_secrets,
    "tables": data.examine_tables,
    "counts": data.examine_counts,
    "forecasts": data.examine_forecasts,
    "artifacts": champion.examine_manifests,
    "agreement": champion.examine_agreement,
    "snapshot": champion.examine_snapshot,
    "lease": operations.examine_lease,
    "dead_letters": operations.examine_dead_letters,
    "backups": backups.examine_backups,
}


@dataclass(frozen=True)
class Attempt:
    """One repair that `--fix` made; `error` says why it failed."""

    repair: Repair
    error: str | None = None


@dataclass(frozen=True)
class Report:
    """The result of an examination: all findings, those that were mended among them, and the repairs made."""

    project: str
    city: str
    as_of: str
    findings: tuple[Finding, ...]
    attempts: tuple[Attempt, ...] = ()

    @property
    def open(self) -> list[Finding]:
        """The findings that remain."""
        return [finding for finding in self.findings if not finding.fixed]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON's types, as docs/operate.md describes."""
        kinds = {name: {f.kind for f in self.open if f.check == name} for name in CHECKS}
        return {
            "project": self.project,
            "city": self.city,
            "as_of": self.as_of,
            "clean": not self.open,
            "checks": {name: _result(found) for name, found in kinds.items()},
            "findings": [finding.model_dump() for finding in self.findings],
            "repairs": [{"repair": a.repair, "error": a.error} for a in self.attempts],
        }


def _result(kinds: set[FindingKind]) -> str:
    return "fault" if "fault" in kinds else "unknown" if kinds else "ok"


def silent(_line: str) -> None:
    """Report no progress."""


def examine(system: System, say: Say) -> list[Finding]:
    """Make every check. One that cannot be made is a finding of its own and does not stop the others."""
    findings = []
    for name, check in CHECKS.items():
        say(f"checking {name} ...")
        try:
            findings += check(system)
        except CALL_ERRORS as exc:
            findings.append(unknown(name, name, exc, "velocast doctor"))
    return findings


def mend(system: System, findings: Sequence[Finding], say: Say) -> list[Attempt]:
    """Make the repairs that the findings ask for, each once; one that fails does not stop the others."""
    attempts = []
    for repair, mender in MENDERS.items():
        chosen = [finding for finding in findings if finding.repair == repair]
        if not chosen:
            continue
        say(f"repairing: {repair} ...")
        try:
            mender(system, chosen)
        except (*CALL_ERRORS, TimeoutError) as exc:
            attempts.append(Attempt(repair, one_line(str(exc))))
        else:
            attempts.append(Attempt(repair))
    return attempts


def diagnose(system: System, *, fix: bool, say: Say = silent) -> Report:
    """Examine the system; with `fix`, repair what is safe, examine it again and mark what has been mended."""
    before = examine(system, say)
    attempts = mend(system, before, say) if fix else []
    after = examine(system, say) if attempts else before
    left = {finding.key for finding in after}
    mended = [f.model_copy(update={"fixed": True}) for f in before if f.key not in left]
    return Report(
        project=system.project,
        city=system.settings.city.name,
        as_of=rfc3339(system.as_of.replace(microsecond=0)),
        findings=(*mended, *after),
        attempts=tuple(attempts),
    )
