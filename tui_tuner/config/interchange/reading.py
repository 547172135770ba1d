"""Files of other tools as plain values: YAML and JSON, read without running anything that they say.

Numbers are read as mlx-lm reads them: YAML 1.1 alone takes `1e-5`, which has no dot, for text. It must never build an
object that a tag asks for, nor follow aliases without end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tui_tuner.config.problems import inert
from tui_tuner.errors import TunerError

NAMELESS = '""'
"""How a key without a name is called."""

_DEEPEST = 20
_MOST = 5_000
_LARGEST = 2**63  # of whole numbers: larger ones are damage, and are no floating-point numbers

# The resolver that mlx_lm/lora.py gives its loader.
_FLOAT = re.compile(
    r"""^(?:
     [-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
    |\.[0-9_]+(?:[eE][-+][0-9]+)?
    |[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""",
    re.X,
)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """PyYAML's loader of plain values with mlx-lm's numbers."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def parsed(text: str, where: str) -> tuple[dict[str, Any], list[str]]:
    """The values of a YAML or JSON text, and the top-level keys that it gives twice (of which the last one counts).

    Raises:
        TunerError: `bad-yaml`, naming the line: it is no YAML, holds no keys, asks for objects, or has no end.
    """
    if text.lstrip().startswith("{"):
        try:  # YAML takes JSON but for tabs
            return _checked(json.loads(text), where), []
        except (ValueError, RecursionError):
            pass
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            value = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise _bad(where, error) from None
    except (RecursionError, ValueError, OverflowError, TypeError) as error:
        raise TunerError("it cannot be read as YAML", code="bad-yaml", where=where) from error
    return _checked(value, where), _twice(node)


def leaves(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value that a file gives, by its dotted key; lists are values, lists of tables have their places as keys.

    Raises:
        TunerError: `bad-yaml` when there are too many, or they are nested too deeply.
    """
    count = 0
    stack: list[tuple[str, int, Iterator[tuple[str, Any]]]] = [("", 0, iter([("", values)]))]
    while stack:
        prefix, depth, items = stack[-1]
        entry = next(items, None)
        if entry is None:
            stack.pop()
            continue
        key, value = entry
        path = f"{prefix}.{key}" if prefix and key else prefix or key
        count += 1
        if depth > _DEEPEST or count > _MOST:
            raise TunerError("it holds too much for a configuration", code="bad-yaml", fix="name a configuration file")
        if isinstance(value, Mapping) and (value or not path):
            stack.append((path, depth + 1, iter([(str(each) or NAMELESS, value[each]) for each in value])))
        elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
            stack.append((path, depth + 1, iter([(str(at), each) for at, each in enumerate(value)])))
        else:
            yield path, value


def _checked(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        raise TunerError("it is empty", code="bad-yaml", where=where, fix="name a configuration file")
    if not isinstance(value, dict):
        raise TunerError("it holds no keys", code="bad-yaml", where=where, fix="write lines such as batch_size: 4")
    try:
        for key, leaf in leaves(value):
            if any(
                isinstance(one, int) and abs(one) > _LARGEST for one in (leaf if isinstance(leaf, list) else [leaf])
            ):
                raise TunerError(f"{key:.60} is a number beyond all measure", code="bad-yaml", fix="look at that line")
        return {str(key): _plain(each) for key, each in value.items()}
    except TunerError as error:
        raise TunerError(error.message, code=error.code, where=where, fix=error.fix) from None
    except RecursionError:
        raise TunerError("it is nested too deeply", code="bad-yaml", where=where) from None


def _plain(value: Any) -> Any:
    """The value with every key as text; what YAML reads as a date is the text that it was."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _twice(node: Any) -> list[str]:
    if not isinstance(node, yaml.MappingNode):
        return []
    names = [str(key.value) for key, _ in node.value]
    return sorted({name for name in names if names.count(name) > 1})


def _bad(where: str, error: yaml.YAMLError) -> TunerError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", "") or getattr(error, "reason", "") or "it cannot be read")
    place = f"{where}, line {mark.line + 1}" if mark is not None else where
    if isinstance(error, yaml.constructor.ConstructorError) and "tag" in problem:
        return TunerError(
            "it asks for an object of Python, which is never made", code="bad-yaml", where=place, fix="take the tag out"
        )
    return TunerError(
        f"it is not valid YAML: {inert(problem)}",
        code="bad-yaml",
        where=place,
        fix="write key: value, one on a line, indented with spaces",
    )
