"""The emulators are usable without Velocast (import-linter checks the imports)."""

from pathlib import Path

import gcp_emulators


def test_no_module_names_the_project_around_it() -> None:
    sources = list(Path(gcp_emulators.__file__).parent.rglob("*.py"))
    assert len(sources) > 40
    naming = [str(s) for s in sources if "velocast" in s.read_text(encoding="utf-8").lower()]
    assert naming == []
