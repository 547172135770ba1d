"""Draws what a model is: memory, sizes, special tokens, and the modules that an adapter would train.

Pure functions from plain facts to text. All that comes from a model folder passes through `visible`.
"""

from __future__ import annotations

import re

from textual.content import Content

from tui_tuner.config.model import AdapterSection
from tui_tuner.engine.results import Inspection, ListedModel, ModelDetails, ModelFacts
from tui_tuner.errors import TunerError
from tui_tuner.models.facts import fit
from tui_tuner.models.targets import resolve
from tui_tuner.ui.format import count, size
from tui_tuner.ui.text import clip, visible
from tui_tuner.ui.widgets.config_edit import refusal
from tui_tuner.ui.widgets.config_facts import trained
from tui_tuner.ui.widgets.data_list import cell
from tui_tuner.ui.widgets.data_pane import lines, notice, pairs, wrap
from tui_tuner.ui.widgets.models_list import SIGNS, about

_SCALES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


def scaled(number: int) -> str:
    """A count in words of scale: `3.82 billion`; small ones as they are."""
    for limit, word in _SCALES:
        if number >= limit:
            return f"{number / limit:.3g} {word}"
    return str(number)


def problems(facts: ModelFacts, width: int) -> Content:
    """Every problem as a sentence with a sign, or that there is none."""
    if not facts.problems:
        return notice("✓", "Nothing stands in the way of fine-tuning this model.", "bold $text-success", width)
    return lines(notice("▲", text, "bold $text-warning", width) for text in facts.problems)


def unknown(model: ListedModel, problem: str, width: int) -> Content:
    """A model of which only the list knows: one that is not here, cannot be read, or is being read."""
    if problem or model.problem:
        head = notice("✗", problem or model.problem, "bold $text-error", width)
    elif model.source == "absent":
        text = "It is not on this machine. g downloads it, and so does a run that names it."
        head = notice("▲", text, "bold $text-warning", width)
    else:
        head = Content.styled("◌ reading the model's configuration …", "$text-muted")
    return lines([head, Content(""), pairs(about(model), width)])


def details(model: ListedModel, found: ModelDetails, usable: int, width: int) -> Content:
    """All that is known of a model but its modules: faults first, then memory, sizes, and special tokens.

    Args:
        usable: bytes that a job can have on this machine; 0 while that is not known.
    """
    seen = found.inspection
    parts = [problems(seen.facts, width), Content(""), memory(seen, usable, width), pairs(about(model), width, _LABEL)]
    if found.variants:
        told = f"{len(found.variants)} made of it; v shows what each lost and gained"
        parts.append(pairs([("Variants", told)], width, _LABEL))
    parts.append(sizes(seen.facts, width))
    kept = {True: "shares the embedding's weights", False: "has weights of its own"}
    rows: list[tuple[str, str | Content]] = [("Quantized", f"{n} modules {way}") for way, n in seen.quantized.items()]
    if seen.tied is not None:
        rows.append(("Head", kept[seen.tied]))
    rows.append(("Licence", seen.licence or "not stated"))
    parts += [pairs(rows, width, _LABEL), Content(""), Content.styled("Special tokens", "bold")]
    return lines([*parts, special_tokens(seen.facts, width)])


_LABEL = 14
"""Cells of the labels, so that all parts of a pane line up."""


def memory(seen: Inspection, usable: int, width: int) -> Content:
    """What running and training take, and whether that is there: a sign and words."""
    rows: list[tuple[str, str | Content]] = []
    for use, label in (("run", "To run"), ("train", "To train")):
        needed = seen.memory.get(use, 0)
        found = fit(needed, usable)
        sign, _, style = SIGNS[found]
        verdict = (f"{sign}{found}", style) if found else ""
        rows.append((label, Content.assemble(verdict, f"{', ' if found else ''}~{size(needed)}")))
    if usable:
        rows.append(("Memory here", size(usable)))
    return pairs(rows, width, _LABEL)


def inside(seen: Inspection, adapter: AdapterSection | None, width: int) -> Content:
    """What a model is made of: its modules, a conversation as its template writes it, and the template."""
    parts = [modules(seen.facts, adapter, width)]
    for meant, names in seen.meanings.items():
        parts.append(notice("→", f"{', '.join(names)}: here {meant}", "$text-muted", width))
    ways = seen.ways
    if mixed := [(name, ways[name]) for name, _ in seen.facts.modules if name in ways and len(set(ways.values())) > 1]:
        parts += [Content(""), Content.styled("Stored", "bold"), pairs(mixed, width)]
    parts.append(Content(""))
    if seen.sample:
        parts.append(Content.styled("A conversation as the template writes it", "bold"))
        parts += [Content(part) for line in visible(seen.sample, lines=True).split("\n") for part in wrap(line, width)]
        parts.append(Content(""))
    parts += [Content.styled("Chat template", "bold"), template(seen.facts, width)]
    return lines(parts)


def sizes(facts: ModelFacts, width: int) -> Content:
    """The model's sizes as labels and values."""
    heads = count(facts.heads) if facts.heads else "not said"
    if facts.kv_heads and facts.kv_heads != facts.heads:
        heads += f" (keys and values {facts.kv_heads})"
    bits = f" · {8 * facts.bytes / facts.parameters:.1f} bits a weight" if facts.parameters else ""
    rows: list[tuple[str, str | Content]] = [
        ("Architecture", facts.architecture or "not said"),
        ("Parameters", f"{scaled(facts.parameters)} ({count(facts.parameters)})"),
        ("Layers", _said(facts.layers)),
        ("Hidden size", _said(facts.hidden)),
        ("Heads", heads),
        ("Vocabulary", f"{_said(facts.vocabulary)} tokens" if facts.vocabulary else "not said"),
        ("Context", f"{_said(facts.context)} tokens" if facts.context else "not said"),
        ("Data type", facts.dtype or "not said"),
        ("Quantization", facts.quantization),
        ("On disk", f"{size(facts.bytes)}{bits}"),
        ("Folder", facts.path),
    ]
    return pairs(rows, width, _LABEL)


def _said(number: int) -> str:
    return count(number) if number else "not said"


def special_tokens(facts: ModelFacts, width: int) -> Content:
    """The special tokens by role."""
    if not facts.tokens:
        return notice("▲", "The tokenizer names no special tokens.", "$text-warning", width)
    return pairs([(visible(role), visible(text)) for role, text in facts.tokens.items()], width, _LABEL, "bold")


def _picked(facts: ModelFacts, adapter: AdapterSection) -> tuple[frozenset[str], str]:
    """The modules that an adapter trains in a layer, or none of them and why its targets cannot be."""
    names = [name for name, _ in facts.modules]
    try:
        return frozenset(resolve(names, [] if adapter.method == "full" else adapter.targets).modules), ""
    except TunerError as error:
        return frozenset(), refusal(error)


def adapter_sentence(facts: ModelFacts, adapter: AdapterSection) -> str:
    """What the experiment's adapter section would train in this model."""
    layers = len(adapter.layer_numbers) or min(adapter.layers or facts.layers, facts.layers)
    where = f"{len(_picked(facts, adapter)[0])} of {len(facts.modules)} modules in {layers} of {facts.layers} layers"
    found = trained(adapter, facts)
    share = ""
    if found is not None and facts.parameters:
        share = f": {scaled(found.parameters)} numbers, {100 * found.parameters / facts.parameters:.2g} % of the model"
    rank = "" if adapter.method == "full" else f" of rank {adapter.rank}"
    return f"{_METHODS[adapter.method]}{rank} in {where}{share}."


_METHODS = {"lora": "LoRA", "dora": "DoRA", "full": "Full fine-tuning"}


def modules(facts: ModelFacts, adapter: AdapterSection | None, width: int) -> Content:
    """The trainable modules with their shapes, and which of them the experiment trains."""
    if not facts.modules:
        return notice("▲", "No linear modules were found that an adapter could train.", "$text-warning", width)
    shapes = max(len(shape) for _, shape in facts.modules)
    room = max(width - shapes - 4, 8)
    out: list[Content] = []
    picked, wrong = _picked(facts, adapter) if adapter is not None else (frozenset(), "")
    for name, shape in facts.modules:
        if adapter is None:
            mark, style = "  ", ""
        else:
            mark, style = ("● ", "bold $text-success") if name in picked else ("○ ", "$text-muted")
        out.append(
            Content.assemble(
                (mark, style), cell(visible(name), room, style=style if adapter else ""), "  ",
                (clip(shape, shapes).rjust(shapes), "$text-muted"),
            )
        )  # fmt: skip
    if adapter is None:
        return lines(out)
    out.append(Content(""))
    legend = "● trained by the experiment   ○ left frozen"
    out.extend(Content.styled(line, "$text-muted") for line in wrap(legend, width))
    out.append(Content(""))
    out.extend(Content(line) for line in wrap(adapter_sentence(facts, adapter), width))
    if wrong:
        out.append(notice("✗", f"adapter.targets: {wrong}", "bold $text-error", width))
    return lines(out)


def template(facts: ModelFacts, width: int) -> Content:
    """The chat template's source, as text and nothing else."""
    if not facts.chat_template:
        text = (
            "There is no chat template: set model.chat_template to a named one, or train rows with a text field only."
        )
        return notice("▲", text, "$text-warning", width)
    return _jinja(visible(facts.chat_template, lines=True))


_TAG = re.compile(r"(\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\})", re.DOTALL)


def _jinja(source: str) -> Content:
    """Jinja source with its tags told apart from the text that they frame."""
    parts: list[tuple[str, str]] = []
    for piece in _TAG.split(source):
        if piece.startswith("{%"):
            parts.append((piece, "$text-primary"))
        elif piece.startswith("{{"):
            parts.append((piece, "$text-accent"))
        elif piece.startswith("{#"):
            parts.append((piece, "italic $text-muted"))
        elif piece:
            parts.append((piece, ""))
    return Content.assemble(*parts)
