"""What a person reads in MLflow about a version: the name of its run, and a description with links to its data."""

from __future__ import annotations

from velocast.core.datetimes import parse_instant
from velocast.usecases.training.scores import deciding_score
from velocast.usecases.training.stored.records import Decision, Training

GS, CONSOLE = "gs://", "https://storage.cloud.google.com/"
_UNJUDGED = "Not judged yet."
_DECISIONS = {
    "DEPLOY": "May become the champion.",
    "SKIP": "Not sufficiently better than the champion.",
    "REJECT": "Rejected.",
}


def run_name(training: Training, decision: Decision | None = None) -> str:
    """Return the name of a run, such as "blend v3, 24 Nov 2025, R2 0.92".

    decision: with the score on test_current; without one, the name has no score.
    """
    day = parse_instant(training.as_of)
    parts = [f"{training.kind} v{training.version}", f"{day.day} {day:%b %Y}"]
    score = None if decision is None else deciding_score(decision.current.new)
    if decision is not None and score is not None:
        parts.append(f"{decision.measure} {score:.2f}")
    if training.test_mode:
        parts.append("test mode")
    return ", ".join(parts)


def run_text(
    training: Training, decision: Decision | None = None, *, record: str | None = None
) -> str:
    """Return the description of a run in Markdown. record: gs:// address of the whole decision."""
    lines = [_UNJUDGED]
    if decision is not None:
        lines = [f"**{_DECISIONS[decision.decision]}** {decision.reason}"]
    if training.reason:
        lines.append(f"Trained because: {training.reason}")
    used = {
        "counts": training.counts.uri,
        "train_baseline": training.baseline.train.uri,
        "test_baseline": training.baseline.test.uri,
        **({"weather": training.weather.uri} if training.weather else {}),
    }
    lines.append("Data: " + ", ".join(_link(name, uri) for name, uri in used.items()))
    if record is not None:
        lines.append(_link("All scores", record))
    return "\n\n".join(lines)


def _link(text: str, uri: str) -> str:
    return f"[{text}]({CONSOLE}{uri.removeprefix(GS)})"
