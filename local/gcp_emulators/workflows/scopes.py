"""Refuses a workflow that reads or writes a variable outside its scope, as Google does at deployment.

A variable that an `except` block, a `for` loop or a parallel branch makes belongs to that block. To be read after the
block, it must have been assigned before: a value that only the `try` steps give does not count, because the error may
have come first. A branch may write a variable of the steps around it only if the step lists it under `shared`.
Source: cloud.google.com/workflows/docs/reference/syntax/variables and .../parallel-steps.

Steps are read in the order of the file; jumps (`next`) are not followed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gcp_emulators.workflows.expressions import expressions_in, parse_expression
from gcp_emulators.workflows.standard_library import LIBRARY

Steps = list[dict[str, Any]]
# Keys of a step that hold no expression of its own scope.
_NESTED = ("assign", "steps", "switch", "for", "parallel", "try", "except")


class ScopeError(ValueError):
    """A workflow file that Google would refuse to deploy."""


def check_scopes(workflow: Any) -> None:
    """Raise ScopeError that lists every variable used outside its scope, with its step.

    workflow: the parsed file: a list of steps, or a map of subworkflows.
    """
    workflows = workflow if isinstance(workflow, dict) else {"main": {"steps": workflow}}
    problems: list[str] = []
    for name, definition in workflows.items():
        given = definition.get("params", []) if isinstance(definition, dict) else []
        steps = definition.get("steps", []) if isinstance(definition, dict) else definition
        names = {p if isinstance(p, str) else next(iter(p)) for p in given}
        problems += _Reader(name).read(steps, _Scope(visible=names))
    if problems:
        raise ScopeError("; ".join(dict.fromkeys(problems)))


@dataclass
class _Scope:
    """What the steps read so far have made.

    visible: variables that may be read, those of the scopes around included. lost: names of variables that were made in
    a block that has ended, with that block. guarded: variables around a parallel branch that it must not write.
    """

    visible: set[str]
    lost: dict[str, str] = field(default_factory=dict)
    guarded: frozenset[str] = frozenset()

    def inner(self, *names: str | None, guarded: Iterable[str] = ()) -> _Scope:
        """Return the scope of a block in this one, which has these variables of its own."""
        own = {name for name in names if name}
        guards = (self.guarded | frozenset(guarded)) - own
        lost = {name: block for name, block in self.lost.items() if name not in own}
        return _Scope(self.visible | own, lost, guards)

    def close(self, block: _Scope, name: str, *, around: set[str]) -> None:
        """Forget what a block has made: everything in it that was not `around` it."""
        made = block.visible - around
        self.lost |= dict.fromkeys(made, name)


class _Reader:
    def __init__(self, workflow: str) -> None:
        self._workflow = workflow
        self._problems: list[str] = []
        self._step = ""

    def read(self, steps: Steps, scope: _Scope) -> list[str]:
        """Return the problems of a subworkflow's steps."""
        self._steps(steps, scope)
        return self._problems

    def _steps(self, steps: Steps, scope: _Scope) -> None:
        for step in steps:
            for name, config in step.items():
                self._step = name
                self._one(name, config, scope)

    def _one(self, name: str, config: dict[str, Any], scope: _Scope) -> None:
        """Read one step, or the part of one that a `switch` or `try` holds."""
        for key, value in config.items():
            if key not in _NESTED:
                self._reads(value, scope)
        for entry in config.get("assign", []):
            for target, value in entry.items():
                self._reads(value, scope)
                self._writes(target, scope)
        for case in config.get("switch", []):
            self._one(name, case, scope)
        if "try" in config:
            self._try(name, config, scope)
        if "for" in config:
            self._for(name, config["for"], scope)
        if "parallel" in config:
            self._parallel(name, config["parallel"], scope)
        self._steps(config.get("steps", []), scope)
        if result := config.get("result"):
            self._writes(result, scope)

    def _try(self, name: str, config: dict[str, Any], scope: _Scope) -> None:
        before = set(scope.visible)
        self._one(name, config["try"], scope)
        handler = config.get("except")
        if handler is None:
            return
        steps = handler.get("steps", [])
        block = scope.inner(handler["as"])
        block.visible = before | {handler["as"]}  # what the try steps make may be missing
        self._steps(steps, block)
        if _goes_on(steps):
            scope.close(block, f'the except block of step "{name}"', around=before)

    def _for(self, name: str, config: dict[str, Any], scope: _Scope) -> None:
        self._reads([config.get("in"), config.get("range")], scope)
        around = set(scope.visible)
        block = scope.inner(config.get("value"), config.get("index"))
        self._steps(config.get("steps", []), block)
        scope.close(block, f'the loop "{name}"', around=around)

    def _parallel(self, name: str, config: dict[str, Any], scope: _Scope) -> None:
        shared = config.get("shared", [])
        around = set(scope.visible)
        guarded = around - set(shared)
        loop = config.get("for", {})  # or branches, never both
        self._reads([loop.get("in"), loop.get("range")], scope)
        bodies = [next(iter(branch.values())) for branch in config.get("branches", [])] or [loop]
        for body in bodies:
            block = scope.inner(loop.get("value"), loop.get("index"), guarded=guarded)
            self._steps(body.get("steps", []), block)
            scope.close(block, f'a branch of step "{name}"', around=around)

    def _writes(self, target: str, scope: _Scope) -> None:
        node = parse_expression(target)
        while isinstance(node, ast.Attribute | ast.Subscript):
            if isinstance(node, ast.Subscript):
                self._names(node.slice, scope)
            node = node.value
        if not isinstance(node, ast.Name):
            return  # refused when it is executed
        if node.id in scope.guarded:
            self._problem(f"a parallel branch writes '{node.id}', which `shared` does not list")
        scope.visible.add(node.id)
        scope.lost.pop(node.id, None)

    def _reads(self, value: Any, scope: _Scope) -> None:
        for code in expressions_in(value):
            self._names(parse_expression(code), scope)

    def _names(self, expression: ast.expr, scope: _Scope) -> None:
        for node in ast.walk(expression):
            if isinstance(node, ast.Name) and node.id in scope.lost and node.id not in LIBRARY:
                self._problem(
                    f"'{node.id}' belongs to {scope.lost[node.id]} and is read outside; assign it before"
                )

    def _problem(self, text: str) -> None:
        self._problems.append(f'{self._workflow}, step "{self._step}": {text}')


def _goes_on(steps: Steps) -> bool:
    """Return whether what follows a block can be reached from its last step."""
    last = next(iter(steps[-1].values())) if steps else {}
    return not ({"raise", "return"} & last.keys())
