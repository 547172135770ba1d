"""How much memory training and generating take, in closed form, from a model's sizes and the largest batch.

The one place that knows: what is shown of a model, the forecast of a run and the search for what fits all ask here. A
step of training is followed from its first array to its last: what stands all the time, what the forward pass keeps for
the backward pass, and the largest of what is made for a moment. Which arrays those are was read off mlx's operations
and measured one size at a time; docs/how-numbers-are-computed.md has them in a table. Nothing is allocated, and no mlx
needed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tui_tuner.config import AdapterSection, TrainSection
from tui_tuner.errors import TunerError
from tui_tuner.models.shape import Matrix, ModelShape
from tui_tuner.models.targets import resolve

LOGITS_BYTES = 64 << 20
"""Bound on the float32 logits that the fast mode has in memory at a time."""
_FLOAT = 4
"""Bytes of a number of an adapter, which is single precision whatever the model is."""
_PREFILL = 2_048
"""Tokens of a prompt that are worked through at a time."""
# What is made for a moment, in arrays of the size that the name says: fitted, docs/how-numbers-are-computed.md has how.
_LOGITS = {"fast": 2.2, "stock": 4.15}
_PIECES = 2.0  # of logits that are worked through in pieces; mlx makes several at a time
_PIECES_ANEW = 1.1  # the same while layers are computed anew
_CAPPED = 1.0
_SCORES, _INNER, _EXPERTS, _HIDDEN, _QUERIES = 1.3, 6.0, 2.7, 14.0, 4.0
_BESIDE = 0.6  # of the smaller of logits and a layer's arrays: mlx begins with the one before it is done with the other
_KEPT_OF_A_LAYER = 1.35  # with gradient checkpointing: what a layer was given, and some of its neighbours' arrays
_ANEW, _ANEW_MORE = 1.05, 0.25  # layers at a time that are computed anew, and more of them where there are up to three
_FULL_END, _FULL_ADDED = 2.6, 1.5
_STATES = {"adam": 2.0, "adamw": 2.0, "sgd": 1.0, "muon": 1.0, "adafactor": 0.0}
"""Arrays of the size of what is trained that an optimizer keeps."""


@dataclass(frozen=True)
class BatchSize:
    """Sizes of a batch's arrays: rows, positions a row is computed at, and positions that the loss looks at."""

    rows: int
    width: int
    slots: int

    @property
    def tokens(self) -> int:
        return self.rows * self.width


@dataclass(frozen=True)
class Memory:
    """Bytes of what a step of training takes at its worst moment.

    Attributes:
        weights: of the model as stored.
        trained: weights that are trained: of an adapter, or of whole layers, which `weights` then does not hold.
        optimizer: its state.
        activations: what the forward pass keeps for the backward pass.
        working: the most of what is made for a moment: logits, a layer's gradients, or new weights beside the old ones.
    """

    weights: int
    trained: int
    optimizer: int
    activations: int
    working: int

    @property
    def peak(self) -> int:
        return self.weights + self.trained + self.optimizer + self.activations + self.working

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Adapted:
    """What an adapter trains of a model.

    Attributes:
        count: weights that are trained.
        reach: layers from the lowest trained one to the top, through which gradients go.
        layers: layers that are trained.
        matrices: those that are trained in a layer.
        method: "lora", "dora" or "full".
        rank: of the adapter; 0 for "full".
    """

    count: int
    reach: int
    layers: int
    matrices: tuple[Matrix, ...]
    method: str
    rank: int = 0

    @property
    def bytes(self) -> int:
        return _FLOAT * self.count

    def at(self, place: str) -> list[Matrix]:
        return [matrix for matrix in self.matrices if matrix.place == place]


def adapted(shape: ModelShape, adapter: AdapterSection) -> Adapted:
    """What an adapter section trains of a model of this shape.

    Raises:
        TunerError: for targets that match nothing, or more layers than there are.
    """
    numbers = adapter.layer_numbers
    layers = len(numbers) or adapter.layers or shape.layers
    beyond = max(numbers, default=0) >= shape.layers
    if layers > shape.layers or beyond:
        raise TunerError(
            f"{layers} layers are asked for, but the model has {shape.layers}"
            if not beyond
            else f"there is no layer {max(numbers)}: the model has layers 0 to {shape.layers - 1}",
            code="too-many-layers",
            where="adapter.layer_numbers" if beyond else "adapter.layers",
            fix="name only layers that it has",
        )
    reach = shape.layers - min(numbers) if numbers else layers
    if adapter.method == "full":
        norms = shape.norms * shape.hidden + (2 * shape.head_dim if shape.head_norms else 0)
        return Adapted(layers * (shape.layer_weights + norms), reach, layers, shape.matrices, "full")
    wanted = set(resolve([matrix.path for matrix in shape.matrices], adapter.targets).modules)
    chosen = tuple(matrix for matrix in shape.matrices if matrix.path in wanted)
    each = sum(adapter.rank * (m.inputs + m.outputs) * m.experts for m in chosen)
    if adapter.method == "dora":
        each += sum(m.outputs * m.experts for m in chosen)
    return Adapted(layers * each, reach, layers, chosen, adapter.method, adapter.rank)


def training_memory(shape: ModelShape, adapter: AdapterSection, train: TrainSection, batch: BatchSize) -> Memory:
    """What training takes at its worst moment, in a step on a batch of that size.

    Raises:
        TunerError: as `adapted`.
    """
    chosen = adapted(shape, adapter)
    full = chosen.method == "full"
    state = int(_STATES[train.optimizer] * chosen.bytes)
    dropout = 0.0 if full else adapter.dropout
    most = batch.tokens * kept(shape, chosen, batch.width, dropout=dropout)
    last = batch.tokens * kept(shape, chosen, batch.width, dropout=dropout, lowest=True)
    anew = train.grad_checkpoint
    layer = _layer(shape, chosen, batch)
    if anew:  # what each layer was given stays, and a layer's arrays come and go
        activations = int(_KEPT_OF_A_LAYER * chosen.reach * batch.tokens * shape.hidden * shape.element)
        layer += (_ANEW + _ANEW_MORE * (min(chosen.reach, 3) - 1)) * (last if chosen.reach == 1 else most)
    else:
        activations = (chosen.reach - 1) * most + last
    logits = _logits(shape, batch, mode=train.mode, anew=anew)
    adds = train.grad_accumulation > 1
    gradients = chosen.bytes / (1 if anew and full else chosen.layers) + (chosen.bytes if adds else 0)
    moment = max(logits, layer) + _BESIDE * min(logits, layer) + gradients
    # At the end of a step the gradients stand beside the old and the new weights and state, and activations are gone.
    copies = _FULL_END + _FULL_ADDED * adds if full else 2 + _STATES[train.optimizer] + adds
    working = int(max(moment, copies * chosen.bytes - activations))
    return Memory(shape.bytes - (chosen.bytes if full else 0), chosen.bytes, state, activations, working)


def _logits(shape: ModelShape, batch: BatchSize, *, mode: str, anew: bool) -> float:
    """Bytes of logits, their gradient, and what is made of them on the way."""
    places = batch.tokens if mode == "stock" else batch.slots
    capped = _CAPPED if shape.head_capped else 0.0
    size = float(places * shape.vocabulary * shape.element)
    if mode == "fast" and places * 4 * shape.vocabulary > LOGITS_BYTES:
        return size * ((_PIECES_ANEW + capped) if anew else _PIECES)
    return size * (_LOGITS[mode] + capped)


def _layer(shape: ModelShape, chosen: Adapted, batch: BatchSize) -> float:
    """Bytes of a layer's gradients, which are made one after another from the top."""
    inner = (_EXPERTS if shape.experts > 1 else _INNER) * shape.inner * shape.experts
    count = inner + _HIDDEN * shape.hidden
    if chosen.reach > 1 or chosen.at("mixer in") or chosen.at("mixer out"):
        count += _SCORES * shape.heads * batch.width * (2 if shape.soft_capped else 1) + _QUERIES * shape.queries
    return batch.tokens * shape.element * count


def generation_memory(shape: ModelShape, rows: int, tokens: int) -> int:
    """Bytes that answering takes: weights, the cache of keys and values, and what one pass through a layer makes.

    Args:
        rows: prompts answered at once.
        tokens: of the longest prompt and its answer together.
    """
    cache = 2 * shape.layers * shape.keys * rows * tokens * shape.element
    pass_ = rows * min(tokens, _PREFILL) * (2 * shape.inner * shape.experts + 4 * shape.hidden + 2 * shape.queries)
    scores = rows * shape.heads * min(tokens, _PREFILL) * tokens
    return int(shape.bytes + cache + shape.element * (pass_ + 2 * scores + rows * shape.vocabulary * 4))


def usual_memory(shape: ModelShape) -> dict[str, int]:
    """Bytes that a model takes to `run`, with 2,048 tokens in its cache, and to `train`.

    Training is that of adapters of rank 8 on all linear modules, by Adam, with one row of 2,048 tokens at a time.
    """
    try:
        width = _PREFILL - 1
        usual = TrainSection(batch_size=1)
        trained = training_memory(shape, AdapterSection(), usual, BatchSize(1, width, width)).peak
    except TunerError:  # nothing in it can be trained
        return {"run": generation_memory(shape, 1, _PREFILL)}
    return {"run": generation_memory(shape, 1, _PREFILL), "train": trained}


def kept(shape: ModelShape, chosen: Adapted, width: int, *, dropout: float = 0.0, lowest: bool = False) -> int:
    """Bytes that a layer's forward pass keeps of a token for the backward pass.

    Args:
        width: positions a row is computed at.
        dropout: of the adapter.
        lowest: whether it is the lowest layer that is trained, in which gradients end at the first trained matrix.
    """
    hidden, queries, keys, inner = shape.hidden, shape.queries, shape.keys, shape.inner * shape.experts
    beyond = lowest and not (chosen.at("mixer in") or chosen.at("mixer out"))  # no gradient reaches the attention
    count: float = (shape.norms / 2 if beyond else shape.norms) * hidden  # what each norm was given
    if not beyond:
        count += queries + 2 * keys + (queries if shape.fused else 0)
        count += (queries + keys) if shape.head_norms else 0
        count += shape.heads * width * (2 if shape.soft_capped else 1)  # the attention's weights
    count += inner * ((6.25 if shape.smooth else 4.0) if shape.gated else (3.25 if shape.smooth else 2.0))
    if shape.experts > 1:
        count += 3.4 * shape.experts * hidden  # a token is copied for each of its experts, and so are their answers
    size = count * shape.element + _inputs_kept(shape, chosen, dropout)
    if chosen.method == "dora":
        size += shape.element * sum(_outputs(shape, matrix) for matrix in chosen.matrices)
    return int(size)


def _inputs_kept(shape: ModelShape, chosen: Adapted, dropout: float) -> float:
    """Bytes a token of what the trained matrices were given, in the precision that they compute in."""
    if chosen.method == "full":
        each = {m.place: _inputs(shape, m) for m in chosen.matrices}
        return float(shape.element * sum(each.values()))
    ranks = _FLOAT * chosen.rank * sum(shape.experts if m.experts > 1 else 1 for m in chosen.matrices)
    if dropout:  # every matrix drops other numbers
        return float(ranks + 2 * _FLOAT * sum(_inputs(shape, matrix) for matrix in chosen.matrices))
    size = 0.0
    for place in dict.fromkeys(matrix.place for matrix in chosen.matrices):
        inputs = max(_inputs(shape, matrix) for matrix in chosen.at(place))
        # An adapter computes in single precision: of a smaller type's numbers it keeps a copy beside them.
        beside = shape.element < _FLOAT and place != "mlp out"
        size += inputs * (_FLOAT + (shape.element if beside else 0))
    return ranks + size


def _inputs(shape: ModelShape, matrix: Matrix) -> int:
    return matrix.inputs * (shape.experts if matrix.experts > 1 else 1)


def _outputs(shape: ModelShape, matrix: Matrix) -> int:
    return matrix.outputs * (shape.experts if matrix.experts > 1 else 1)
