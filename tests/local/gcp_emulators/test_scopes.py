"""Workflow files whose variables leave their scope, refused as Google refuses them at deployment."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gcp_emulators.core.documents import DocumentStore
from gcp_emulators.workflows.executions import WorkflowExecutions
from gcp_emulators.workflows.interpreter import ExecutionInputs, execute
from gcp_emulators.workflows.scopes import ScopeError, check_scopes

IN_EXCEPT = """
- attempt:
    try:
      call: http.get
      args: {url: "http://127.0.0.1:9/"}
      result: answer
    except:
      as: error
      steps:
        - none:
            assign:
              - answer: null
- verdict:
    return: ${answer}
"""
IN_LOOP = """
- loop:
    for:
      value: item
      index: place
      in: [1, 2]
      steps:
        - remember:
            assign:
              - last: ${item + place}
- answer:
    return: ${"the last is " + last}
"""
IN_BRANCH = """
- begin:
    assign: [{total: 0}]
- both:
    parallel:
      branches:
        - one:
            steps:
              - add: {assign: [{total: 1}, {own: 2}]}
        - other:
            steps:
              - nothing: {assign: [{own: 3}]}
- answer:
    return: ${total}
"""
DECLARED = "- begin: {assign: [{answer: null}, {last: 0}, {own: 0}]}"


def check(workflow: str) -> None:
    check_scopes(yaml.safe_load(workflow))


@pytest.mark.parametrize(
    ("workflow", "said"),
    [
        (
            IN_EXCEPT,
            'main, step "verdict": \'answer\' belongs to the except block of step "attempt"',
        ),
        (IN_LOOP, "'last' belongs to the loop \"loop\" and is read outside; assign it before"),
        (IN_LOOP.replace("+ last", "+ item"), "'item' belongs to the loop \"loop\""),
        (IN_LOOP.replace("+ last", "+ place"), "'place' belongs to the loop \"loop\""),
        (IN_BRANCH, "a parallel branch writes 'total', which `shared` does not list"),
        (
            IN_BRANCH.replace("parallel:", "parallel:\n      shared: [total]").replace(
                "${total}", "${own}"
            ),
            "'own' belongs to a branch of step \"both\"",
        ),
    ],
)
def test_a_variable_outside_its_scope_is_refused(workflow: str, said: str) -> None:
    with pytest.raises(ScopeError) as refused:
        check(workflow)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "workflow",
    [
        DECLARED + IN_EXCEPT,
        DECLARED + IN_LOOP,
        IN_BRANCH.replace("parallel:", "parallel:\n      shared: [total]"),
        # the block leaves, so what follows has only seen the try steps
        IN_EXCEPT.replace("- verdict", "        - leave: {raise: away}\n- verdict"),
        # assigned again after the block
        IN_EXCEPT.replace("- verdict", "- again: {assign: [{answer: 1}]}\n- verdict"),
        # the names of another subworkflow are its own
        "main:\n  steps:\n    - a: {assign: [{x: 1}]}\nother:\n  params: [y]\n  steps:\n    - b: {return: '${y}'}",
    ],
)
def test_a_variable_in_its_scope_is_not(workflow: str) -> None:
    check(workflow)


def inputs(source: Path) -> ExecutionInputs:
    return ExecutionInputs(source, None, {}, None, {})


def test_such_a_file_is_neither_deployed_nor_executed(tmp_path: Path) -> None:
    source = tmp_path / "w.yaml"
    source.write_text(IN_EXCEPT)
    with pytest.raises(ScopeError, match="answer"):
        WorkflowExecutions(
            {"w": source},
            project="p",
            location="l",
            records=DocumentStore(tmp_path / "records"),
            folder=tmp_path / "logs",
            clock_file=tmp_path / "clock",
            endpoint="http://127.0.0.1:9",
            environment=dict,
        )
    ended = execute(inputs(source))
    assert ended["state"] == "FAILED"
    assert "'answer' belongs to the except block" in ended["error"]["context"]


def test_what_an_except_block_makes_is_gone_after_it(tmp_path: Path) -> None:
    """Also where the file's order hides it: the jump comes back to a step before the block."""
    source = tmp_path / "w.yaml"
    source.write_text(
        """
- begin: {assign: [{rounds: 0}]}
- look:
    switch:
      - condition: ${rounds > 0}
        return: ${made_in_except}
- attempt:
    try:
      raise: away
    except:
      as: error
      steps:
        - make: {assign: [{made_in_except: 1}, {rounds: "${rounds + 1}"}]}
- back: {next: look}
"""
    )
    ended = execute(inputs(source))
    assert ended["state"] == "FAILED"
    assert "made_in_except" in ended["error"]["context"]
