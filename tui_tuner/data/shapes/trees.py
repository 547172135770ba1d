"""Trees of messages turned into conversations, by a choice of branches.

Three forms are known: flat rows with message and parent (OpenAssistant's), nested replies (its other form), and a
mapping of nodes (ChatGPT's export). A conversation is a path from the root that ends with the assistant; messages after
its last answer are left off, as nothing answers them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tui_tuner.data.shapes.conversation import bad_row, messages_from

Turn = tuple[dict[str, Any], float]
_DEEPEST = 400


def is_tree(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether these records are messages of trees, or trees."""
    return bool(tree_column(records))


def tree_column(records: Sequence[Mapping[str, Any]]) -> str:
    """What holds the tree: "parent_id" for flat rows, "mapping", or the column with replies; empty for no tree."""
    if not records:
        return ""
    first = records[0]
    if {"message_id", "parent_id", "role"} <= set(first):
        return "parent_id"
    mapping = first.get("mapping")
    if isinstance(mapping, Mapping) and any(isinstance(n, Mapping) and "children" in n for n in mapping.values()):
        return "mapping"
    return next((key for key, value in first.items() if isinstance(value, Mapping) and "replies" in value), "")


def flattened(records: Sequence[Mapping[str, Any]], branch: str) -> list[tuple[int, list[dict[str, Any]]]]:
    """Every chosen conversation with the number of the record that it ends with (flat rows) or stands in.

    Args:
        branch: "best" by rank (or the branch that was open), "longest", or "all".

    Raises:
        TunerError: a message that cannot be read, or a tree without end (code "bad-row").
    """
    column = tree_column(records)
    if column == "parent_id":
        return list(_flat(records, branch))
    found: list[tuple[int, list[dict[str, Any]]]] = []
    for number, record in enumerate(records):
        if column == "mapping":
            paths = _of_mapping(record, branch)
        else:
            paths = _chosen(record.get(column), _replies, branch, _rank)
        found.extend((number, turns) for path in paths if (turns := _trimmed(path)))
    return found


def _trimmed(path: list[Any]) -> list[dict[str, Any]]:
    turns = messages_from(path) if path else []
    while turns and turns[-1]["role"] != "assistant":
        turns.pop()
    return turns if any(turn["role"] == "user" for turn in turns) else []


def _replies(node: Any) -> list[Any]:
    replies = node.get("replies") if isinstance(node, Mapping) else None
    return replies if isinstance(replies, list) else []


def _rank(node: Any) -> float:
    rank = node.get("rank") if isinstance(node, Mapping) else None
    return rank if isinstance(rank, int | float) else float("inf")


def _chosen(
    root: Any, children: Callable[[Any], list[Any]], branch: str, rank: Callable[[Any], float]
) -> Iterator[list[Any]]:
    """Paths from a root to its leaves: all, the longest, or the one of the best-ranked replies."""
    if branch == "best":
        path: list[Any] = []
        node = root
        while node is not None and len(path) < _DEEPEST:
            path.append(node)
            replies = children(node)
            node = min(replies, key=rank) if replies else None
        yield path
        return
    paths = _paths(root, children)
    if branch == "all":
        yield from paths
    else:
        yield max(paths, key=len)


def _paths(root: Any, children: Callable[[Any], list[Any]]) -> Iterator[list[Any]]:
    stack = [[root]]
    while stack:
        path = stack.pop()
        if len(path) > _DEEPEST:
            raise bad_row("the tree of messages is deeper than 400, or has no end")
        replies = children(path[-1])
        if not replies:
            yield path
        stack.extend([*path, reply] for reply in reversed(replies))


def _of_mapping(record: Mapping[str, Any], branch: str) -> Iterator[list[Any]]:
    """Paths of ChatGPT's export, where nodes without a message are only joints."""
    nodes = record.get("mapping")
    if not isinstance(nodes, Mapping):
        raise bad_row('"mapping" holds no nodes')

    def said(path: list[Any]) -> list[Any]:
        messages = [nodes[key]["message"] for key in path if isinstance(nodes[key].get("message"), Mapping)]
        return [message for message in messages if _has_text(message)]

    def children(key: Any) -> list[Any]:
        found = nodes[key].get("children")
        return [child for child in found if child in nodes] if isinstance(found, list) else []

    current = record.get("current_node")
    if branch == "best" and current in nodes:
        path = [current]
        while (parent := nodes[path[-1]].get("parent")) in nodes and len(path) < _DEEPEST:
            path.append(parent)
        yield said(path[::-1])
        return
    for root in (key for key, node in nodes.items() if node.get("parent") not in nodes):
        yield from map(said, _chosen(root, children, branch, lambda _key: 0.0))


def _has_text(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    parts = content.get("parts") if isinstance(content, Mapping) else None
    return bool(parts) and any(isinstance(part, str) and part.strip() for part in parts or [])


def _flat(records: Sequence[Mapping[str, Any]], branch: str) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    number = {record.get("message_id"): index for index, record in enumerate(records)}
    below: dict[Any, list[int]] = {}
    roots = []
    for index, record in enumerate(records):
        parent = record.get("parent_id")
        if parent in number and parent is not None:
            below.setdefault(parent, []).append(index)
        else:
            roots.append(index)

    def children(index: int) -> list[int]:
        return below.get(records[index].get("message_id"), [])

    for root in roots:
        for path in _chosen(root, children, branch, lambda index: _rank(records[index])):
            turns = _trimmed([records[index] for index in path])
            if turns:
                yield path[len(turns) - 1], turns
