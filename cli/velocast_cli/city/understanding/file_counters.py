"""The counters of tables in which no column names them: one, or one in each file."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from velocast_cli.city.understanding.columns import Sample


def id_elsewhere(sample: Sample, counter: str | None) -> tuple[str | None, str | None]:
    """Return a pattern that reads the counter's id from a file's path, or the id of the only counter."""
    if counter:
        return None, None
    paths = [str(p) for p in sample.files.unique()]
    stems = [PurePosixPath(p.split("#")[0]).name for p in paths]
    if len(paths) == 1:
        return None, re.sub(
            r"\.(csv|json|jsonl|parquet|xlsx|txt|zip|gz|tsv|ndjson)\b", "", stems[0]
        ) or "counter"
    dated = r"[-_ .]?(?:19|20)\d{2}(?:[-_.]?(?:0[1-9]|1[0-2]))?(?:[-_.]?[0-3]\d)?"
    for pattern in (rf"(?P<id>[^/]+?){dated}\.[^/]*$", r"(?P<id>[^/]+?)\.[^/]*$"):
        if all(found := [re.search(pattern, p) for p in paths]):
            word = _word_before([match["id"] for match in found if match])
            return pattern.replace("(?P<id>", f"{re.escape(word)}(?P<id>", 1), None
    return r"(?P<id>[^/]+)$", None


def _word_before(ids: list[str]) -> str:
    """Return the word that all ids begin with, such as `counter_`, where a number follows it in each; else nothing."""
    found = [re.fullmatch(r"([^\W\d]+[-_ ])\d+", each) for each in ids]
    words_before = {match[1] if match else "" for match in found}
    return words_before.pop() if len(words_before) == 1 else ""
