"""Expressions of the workflow language: what they mean, and that nothing else can be run through them."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest

from gcp_emulators.workflows.expressions import (
    assign,
    call_function,
    evaluate_expression,
    render_text,
)

CONTEXT: dict[str, Any] = {
    "args": {"name": "a b", "items": [1, 2], "keys": {"deep": [{"n": 5}]}, "none": None},
    "tags": ["HttpError"],
    "n": 7,
}


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("n + 1", 8),
        ("n / 2 - -1", 4.5),
        ("n // 2 * 2 % 4", 2),
        ('"sum: " + string(n)', "sum: 7"),
        ("args.items[1]", 2),
        ('args["keys"].deep[0].n', 5),
        ("args.keys.deep[n - 7].n", 5),
        ('"HttpError" in tags and n >= 7', True),
        ('not ("x" in args) and n != 8', True),
        ('"x" not in tags or unknown', True),
        ("0 < n <= 7", True),
        ("args.none == null", True),
        ('if(n > 7, "if(more)", true)', True),
        ('default(map.get(args, ["keys", "none"]), false)', False),
        ("text.url_encode(args.name + '/')", "a%20b%2F"),
        ('keys({"a": [1.5, null]})', ["a"]),
        ("get_type(args.keys)", "map"),
        ("len(tags)", 1),
        ("http.default_retry.max_retries", 5),
    ],
)
def test_values(code: str, value: Any) -> None:
    found = evaluate_expression(code, CONTEXT)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    "code",
    [
        "[x for x in tags]",
        "{x: 1 for x in tags}",
        "(x for x in tags)",
        "lambda: 1",
        "(n := 1)",
        "n if n else 1",
        'f"{n}"',
        "[*tags]",
        "{**args}",
        "len(*tags)",
        'text.split(source="a,b", separator=",")',
        "tags[0:1]",
        "n ** 9",
        "1 << n",
        "~n",
        "n is null",
        "(n, 1)",
        "{n}",
        'b"bytes"',
        "...",
        "1j",
    ],
)
def test_other_syntax_of_python_is_refused(code: str) -> None:
    with pytest.raises(SyntaxError, match="is not in the workflow language, in"):
        evaluate_expression(code, CONTEXT)


@pytest.mark.parametrize("code", ["n +", "n; n", "import os", "n = 1", "a b", ""])
def test_what_is_no_expression_is_a_syntax_error_that_shows_it(code: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        evaluate_expression(code, CONTEXT)
    assert str(caught.value).endswith(f" in ${{{code}}}")


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        ("args.__class__", KeyError, "key not found: __class__"),
        ('args["__class__"]', KeyError, "key not found: __class__"),
        ('"".__class__', TypeError, "a value of type string has no '__class__'"),
        ("tags.__class__.__base__", TypeError, "a value of type list has no '__class__'"),
        ("tags.append(1)", TypeError, "a value of type list has no 'append'"),
        ('"{0.__class__}".format(n)', TypeError, "a value of type string has no 'format'"),
        ("len.__globals__", TypeError, "a value of type function has no '__globals__'"),
        ("text.__dict__", TypeError, "text has no function '__dict__'"),
        ('text["split"]', TypeError, "a value of type function has no 'split'"),
        ('sys.os.system("id")', TypeError, "sys has no function 'os'"),
        ("http.gen_retry_predicate([], [])", TypeError, "http has no function"),
        ('__import__("os")', KeyError, "no variable or function is called '__import__'"),
        ('open("/etc/passwd")', KeyError, "no variable or function is called 'open'"),
        ('eval("1")', KeyError, "no variable or function is called 'eval'"),
        ("lenn(tags)", KeyError, "no variable or function is called 'lenn'"),
        ("text.splitt(n)", TypeError, "text has no function 'splitt' in"),
        ("args(1)", TypeError, "'args' is not a function in"),
        ("text(1)", TypeError, "'text' is not a function in"),
        ("n.x", TypeError, r"a value of type integer has no 'x' in \$\{n.x\}"),
        ("tags[9]", IndexError, "out of range"),
        ("args.nmae", KeyError, "key not found: nmae"),
        ('"a" * 1000000000', TypeError, "arithmetic needs numbers, got a string"),
        ('"%1000000000d" % n', TypeError, "arithmetic needs numbers, got a string"),
        ('"a" + n', TypeError, "can only concatenate str"),
    ],
)
def test_attackers_and_typos_get_an_error_that_a_workflow_can_catch(
    code: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        evaluate_expression(code, CONTEXT)


def test_an_expression_changes_nothing() -> None:
    found = evaluate_expression("args", CONTEXT)
    found["items"].append(3)
    evaluate_expression("http.default_retry", {})["max_retries"] = 0
    assert CONTEXT["args"]["items"] == [1, 2]
    assert evaluate_expression("http.default_retry.max_retries", {}) == 5


def test_texts_are_filled_in_and_a_lone_expression_keeps_its_type() -> None:
    assert render_text(" ${n} ", CONTEXT) == 7
    assert render_text("n=${n}, t=${tags}", CONTEXT) == 'n=7, t=["HttpError"]'
    assert render_text(5, CONTEXT) == 5


@pytest.mark.parametrize(
    ("target", "root", "value"),
    [
        ("new", "new", "v"),
        ("args.name", "args", CONTEXT["args"] | {"name": "v"}),
        ("args.fresh", "args", CONTEXT["args"] | {"fresh": "v"}),
        ('args["items"][n - 6]', "args", CONTEXT["args"] | {"items": [1, "v"]}),
        ("args.keys.deep[0].n", "args", CONTEXT["args"] | {"keys": {"deep": [{"n": "v"}]}}),
        ("args.__class__", "args", CONTEXT["args"] | {"__class__": "v"}),
    ],
)
def test_assignments(target: str, root: str, value: Any) -> None:
    before = repr(CONTEXT)
    assert assign(target, "v", CONTEXT) == (root, value)
    assert repr(CONTEXT) == before


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("unknown.key", KeyError, "no variable or function is called 'unknown'"),
        ("args.missing.key", KeyError, "key not found: missing"),
        ("text.split", KeyError, "no variable or function is called 'text'"),
        ("tags[5]", IndexError, "out of range"),
        ("n.real", TypeError, "a value of type integer has no 'real'"),
        ("tags.append", TypeError, "a value of type list has no 'append'"),
        ("a, b", SyntaxError, "cannot assign to 'a, b'"),
        ("len(tags)", SyntaxError, "cannot assign to"),
        ("[x for x in tags][0]", SyntaxError, "cannot assign to"),
        ("a = b", SyntaxError, "in .*a = b"),
    ],
)
def test_other_targets_are_refused(target: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        assign(target, "v", CONTEXT)


def test_a_call_step_names_a_function_of_the_library() -> None:
    split = {"_args": {"source": "a,b", "separator": ","}}
    assert call_function("text.split(**_args)", split) == ["a", "b"]
    assert call_function("len(*_args)", {"_args": [[1, 2]]}) == 2
    with pytest.raises(TypeError, match="text is not a function"):
        call_function("text(**_args)", split)
    with pytest.raises(KeyError, match="no variable or function is called 'shutil'"):
        call_function("shutil.rmtree(**_args)", split)


def test_only_data_is_read_from_objects() -> None:
    """An object that is no map, whatever attributes it has, shows none of them."""
    with pytest.raises(TypeError, match="has no 'data'"):
        evaluate_expression("thing.data", {"thing": UserDict({"data": 1})})
