"""Evaluates `${...}`.

workflows-emulator 1.10.0 hands expressions to Python's `eval`, and differs from Cloud Workflows in what they mean: it
turns values into YAML text and back (null becomes the text "None"), does not know true, false and null, cannot parse
if(), and confuses keys called `items` or `keys` with the dictionary's methods. Here an expression is parsed by Python's
parser, and only the few kinds of node that the workflow language has are evaluated.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from functools import lru_cache
from typing import Any

from gcp_emulators.workflows.standard_library import LIBRARY, Namespace, to_string, type_name

WHOLE_EXPRESSION = re.compile(r"\s*\$\{((?:(?!\$\{).)*)\}\s*", re.DOTALL)
PART_EXPRESSION = re.compile(r"\$\{(.*?)\}", re.DOTALL)
# Strings are matched only to be skipped: Python cannot parse a function called `if`, so it is renamed to `if_`.
_STRING_OR_IF = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|\bif\s*\(")
_ARITHMETIC: dict[type[ast.operator], Any] = {
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.cmpop], Any] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}
_SIGNS: dict[type[ast.unaryop], Any] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def evaluate_expression(code: str, context: Mapping[str, Any]) -> Any:
    """Evaluate one expression of the workflow language and return a value of JSON's types (or bytes).

    Raises KeyError for a variable, function or key that does not exist and TypeError for an operation that a type does
    not have; a workflow's `except` can catch both. Raises SyntaxError for anything that is not in the language.
    """
    try:
        return plain(_Evaluator(code, context).visit(parse_expression(code)))
    except TypeError as exc:
        raise TypeError(f"{exc.args[0]} in ${{{code}}}") from exc


def call_function(code: str, context: Mapping[str, Any]) -> Any:
    """Call a library function for a `call` step, which the emulator writes as `name(**_args)` or `name(*_args)`.

    context: holds the arguments under `_args`. Raises KeyError or TypeError where there is no such function.
    """
    name, args = code.rpartition("(")[0], context["_args"]
    function = _Evaluator(name, context).visit(parse_expression(name))
    if not callable(function):
        raise TypeError(f"{name} is not a function")
    return function(**args) if isinstance(args, dict) else function(*args)


def render_text(value: Any, context: Mapping[str, Any]) -> Any:
    """Return a text with its expressions replaced by their values; an expression alone keeps its type."""
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = WHOLE_EXPRESSION.fullmatch(value)
    if whole:
        return evaluate_expression(whole[1], context)
    return PART_EXPRESSION.sub(lambda part: to_string(evaluate_expression(part[1], context)), value)


def expressions_in(value: Any) -> Iterator[str]:
    """Yield the code of every expression in a value of a workflow file, those of its items included."""
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for item in value:
            yield from expressions_in(item)
    elif isinstance(value, str) and "${" in value:
        whole = WHOLE_EXPRESSION.fullmatch(value)
        yield from [whole[1]] if whole else PART_EXPRESSION.findall(value)


def assign(target: str, value: Any, context: Mapping[str, Any]) -> tuple[str, Any]:
    """Carry out `target = value`, where target may have keys and indices; return the variable and its new value.

    Raises KeyError where the variable or a key on the way does not exist, SyntaxError for any other target.
    """
    evaluator = _Evaluator(target, context)
    node = parse_expression(target)
    path: list[Any] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        path.insert(
            0, node.attr if isinstance(node, ast.Attribute) else evaluator.visit(node.slice)
        )
        node = node.value
    if not isinstance(node, ast.Name):
        raise SyntaxError(f"cannot assign to '{target}'; give a variable, with keys or indices")
    if not path:
        return node.id, plain(value)
    root = owner = _variable(node.id, context)
    for key in path[:-1]:
        owner = _item(owner, key)
    if not isinstance(owner, dict):
        _item(owner, path[-1])  # only a map takes a key that is new
    owner[path[-1]] = plain(value)
    return node.id, root


def plain(value: Any) -> Any:
    """Return a copy in which every mapping is an ordinary dictionary and every tuple a list."""
    if isinstance(value, dict):
        return {key: plain(dict.__getitem__(value, key)) for key in dict.keys(value)}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@lru_cache(maxsize=1024)
def parse_expression(code: str) -> ast.expr:
    """Return the tree of an expression, with the function `if` under the name `if_`. Raises SyntaxError."""
    python = _STRING_OR_IF.sub(
        lambda found: "if_(" if found[0].startswith("if") else found[0], code
    )
    try:
        return ast.parse(python.strip(), mode="eval").body
    except SyntaxError as exc:
        raise SyntaxError(f"{exc.msg} in ${{{code}}}") from exc


def _variable(name: str, context: Mapping[str, Any]) -> Any:
    """Return a copy of a variable; those that parallel branches share are context variables of Python."""
    for variable, value in copy_context().items():
        if variable.name == name:
            return plain(value)
    if name not in context:
        raise KeyError(f"no variable or function is called '{name}'")
    return plain(context[name])


def _item(owner: Any, key: Any) -> Any:
    if isinstance(owner, dict):
        if key not in owner:
            raise KeyError(f"key not found: {key}")
        return owner[key]
    if isinstance(owner, list) and isinstance(key, int):
        return owner[key]
    raise TypeError(f"a value of type {type_name(owner)} has no '{key}'")


class _Evaluator(ast.NodeVisitor):
    """Evaluates the nodes that have a method here; any other node is a SyntaxError."""

    def __init__(self, code: str, context: Mapping[str, Any]) -> None:
        self._code = code
        self._context = context

    def generic_visit(self, node: ast.AST) -> Any:
        text = ast.unparse(node)
        raise SyntaxError(f"'{text}' is not in the workflow language, in ${{{self._code}}}")

    def visit_Constant(self, node: ast.Constant) -> Any:
        known = node.value is None or isinstance(node.value, bool | int | float | str)
        return node.value if known else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        return LIBRARY[node.id] if node.id in LIBRARY else _variable(node.id, self._context)

    def visit_List(self, node: ast.List) -> Any:
        return [self.visit(item) for item in node.elts]

    def visit_Dict(self, node: ast.Dict) -> Any:
        if None in node.keys:
            return self.generic_visit(node)
        keys = [self.visit(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(self.visit, node.values), strict=True))

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        owner = self.visit(node.value)
        if isinstance(owner, Namespace):
            return owner.member(node.attr)
        return _item(owner, node.attr)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        return _item(self.visit(node.value), self.visit(node.slice))

    def visit_Call(self, node: ast.Call) -> Any:
        function = self.visit(node.func)
        if not callable(function):
            raise TypeError(f"'{ast.unparse(node.func)}' is not a function")
        if node.keywords:
            return self.generic_visit(node)
        return function(*map(self.visit, node.args))

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        value = None
        for operand in node.values:
            value = self.visit(operand)
            if bool(value) is isinstance(node.op, ast.Or):
                break
        return value

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        sign = _SIGNS.get(type(node.op))
        return sign(self.visit(node.operand)) if sign else self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        if isinstance(node.op, ast.Add):
            return self.visit(node.left) + self.visit(node.right)
        if type(node.op) not in _ARITHMETIC:
            return self.generic_visit(node)
        left, right = self.visit(node.left), self.visit(node.right)
        for value in (left, right):
            if not isinstance(value, int | float):
                raise TypeError(f"arithmetic needs numbers, got a {type_name(value)}")
        return _ARITHMETIC[type(node.op)](left, right)

    def visit_Compare(self, node: ast.Compare) -> Any:
        left = self.visit(node.left)
        for kind, operand in zip(node.ops, node.comparators, strict=True):
            right = self.visit(operand)
            if type(kind) not in _COMPARISONS:
                return self.generic_visit(node)
            if not _COMPARISONS[type(kind)](left, right):
                return False
            left = right
        return True
