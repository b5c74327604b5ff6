"""A page for each package of the library `velocast`, with what its modules' docstrings say."""

from __future__ import annotations

from pathlib import Path


def packages(folder: Path) -> list[str]:
    """Return the dotted names of the packages below a folder that hold modules of their own."""
    found = sorted(init.parent for init in (folder / "velocast").rglob("__init__.py"))
    return [".".join(p.relative_to(folder).parts) for p in found if modules(folder, p)]


def modules(folder: Path, package: Path) -> list[str]:
    """Return the dotted names of the modules directly in a package."""
    dotted = ".".join(package.relative_to(folder).parts)
    return [f"{dotted}.{m.stem}" for m in sorted(package.glob("*.py")) if m.stem != "__init__"]


def write(target: Path, folder: Path) -> None:
    """Write the pages `<package>.md`; mkdocs.yml lists them, and the strict build misses none."""
    target.mkdir()
    for package in packages(folder):
        (target / f"{package}.md").write_text(page(folder, package), encoding="utf-8")


def page(folder: Path, package: str) -> str:
    """Return a package's page: its docstring, then its modules."""
    own = f"# {package}\n\n::: {package}\n    options: {{ show_root_heading: false, members: false }}\n"
    parts = [f"::: {module}\n" for module in modules(folder, folder / package.replace(".", "/"))]
    return "\n".join([own, *parts])
