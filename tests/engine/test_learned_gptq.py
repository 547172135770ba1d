"""GPTQ's arithmetic against the paper's algorithm in numpy, and what it learns from rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.learned import GROUP, LOW, nothing, rows
from tui_tuner.models.learned import gptq
from tui_tuner.models.learned.planning import gptq_reaches
from tui_tuner.models.load import Base, fresh_tree
from tui_tuner.models.quantize import quantizable
from tui_tuner.models.scheme import Params

pytestmark = pytest.mark.mlx


def inputs(seed: int, width: int = 64, count: int = 200) -> Any:
    """Inputs whose channels go together, as those of real layers do."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 8)) @ generator.normal(size=(8, width)) + 0.1 * generator.normal(
        size=(count, width)
    )


def rounded_by_the_paper(weight: Any, squares: Any, bits: int) -> Any:
    """Algorithm 1 of Frantar et al. (2023) in float64: column by column, the error made good in those after it."""
    import mlx.core as mx

    damped = squares + 0.01 * np.diag(squares).mean() * np.eye(len(squares))
    root = np.linalg.cholesky(np.linalg.inv(damped)).T
    left, found = weight.astype(np.float64).copy(), np.zeros(weight.shape)
    for start in range(0, weight.shape[1], GROUP):
        scales, biases = (
            np.array(each, np.float64)
            for each in mx.quantize(mx.array(left[:, start : start + GROUP].astype(np.float32)), GROUP, bits)[1:]
        )
        for k in range(start, start + GROUP):
            steps = np.clip(np.round((left[:, k : k + 1] - biases) / scales), 0, 2**bits - 1)
            found[:, k : k + 1] = steps * scales + biases
            error = (left[:, k : k + 1] - found[:, k : k + 1]) / root[k, k]
            left[:, k:] -= error @ root[k : k + 1, k:]
    return found


def lost(weight: Any, rounded: Any, squares: Any) -> float:
    """What rounding does to the outputs: the sum of their squared differences over all inputs."""
    apart = rounded - weight
    return float(np.einsum("ij,jk,ik->", apart, squares, apart))


def solved(weight: Any, squares: Any, bits: int) -> tuple[bool, Any, Any]:
    """Weights after GPTQ, and after plain rounding."""
    import mlx.core as mx
    import mlx.nn as nn

    module = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    module.weight = mx.array(weight)
    new = module.to_quantized(GROUP, bits, "affine")

    def values(one: Any) -> Any:
        return np.array(mx.dequantize(one.weight, one.scales, one.biases, GROUP, bits), np.float64)

    plain = values(new)
    done = gptq._solved(new, module, mx.array(squares.astype(np.float32)), Params(bits, GROUP), nothing)
    return done, values(new), plain


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("seed", [0, 1])
def test_gptq_is_the_papers_algorithm_and_loses_less_than_rounding(bits: int, seed: int) -> None:
    x = inputs(seed)
    squares = x.T @ x
    weight = np.random.default_rng(seed + 9).normal(size=(16, 64)).astype(np.float32)
    done, found, plain = solved(weight, squares, bits)
    wanted = rounded_by_the_paper(weight, squares, bits)
    assert done
    assert lost(weight, found, squares) == pytest.approx(lost(weight, wanted, squares), rel=0.02)
    assert lost(weight, found, squares) < 0.6 * lost(weight, plain, squares)
    # In single precision a value between two steps may fall on the other one, and then what follows it does, too.
    assert np.mean(np.isclose(found, wanted, atol=1e-3)) > 0.9


def test_inputs_that_do_not_go_together_leave_nothing_to_make_good() -> None:
    weight = np.random.default_rng(3).normal(size=(4, 64)).astype(np.float32)
    done, found, plain = solved(weight, 5.0 * np.eye(64), 4)
    assert done
    np.testing.assert_allclose(found, plain, atol=1e-5)


def test_the_root_of_the_inverse_is_numpys() -> None:
    import mlx.core as mx

    x = inputs(4, 32)
    squares = x.T @ x
    root = np.array(gptq._inverse_root(mx.array(squares.astype(np.float32))), np.float64)
    damped = squares + 0.01 * np.diag(squares).mean() * np.eye(32)
    assert np.allclose(root, np.triu(root))
    np.testing.assert_allclose(root.T @ root @ damped, np.eye(32), atol=0.02)


@pytest.mark.parametrize("squares", [np.zeros((32, 32)), np.array(0.0), np.full((32, 32), np.nan), -np.eye(32)])
def test_where_rows_say_nothing_of_the_inputs_there_is_no_root(squares: Any) -> None:
    import mlx.core as mx

    assert gptq._inverse_root(mx.array(squares.astype(np.float32))) is None


def test_squares_are_those_of_what_went_in_and_the_tree_is_as_before(llama: Base) -> None:
    import mlx.core as mx

    tree = fresh_tree(llama)
    path = "model.layers.0.self_attn.q_proj"
    modules = {path: dict(quantizable(tree))[path]}
    seen: list[tuple[str, int, int]] = []
    found = gptq._squares(tree, modules, rows(3, 5), lambda *told: seen.append(told), nothing)
    wanted = np.zeros((64, 64))
    for row in rows(3, 5):
        x = llama.model.layers[0].input_layernorm(llama.model.model.embed_tokens(mx.array([row])))[0]
        wanted += np.array(x, np.float64).T @ np.array(x, np.float64)
    np.testing.assert_allclose(np.array(found[path]), wanted, rtol=1e-4, atol=1e-4)
    assert seen == [("rows looked at", n, 3) for n in range(3)]
    assert dict(quantizable(tree)).keys() == dict(quantizable(llama.model)).keys(), "nothing is left in between"


def test_only_plain_linear_modules_are_gptqs() -> None:
    import mlx.nn as nn

    assert gptq_reaches(nn.Linear(32, 32), LOW) and not gptq_reaches(nn.Linear(32, 32), None)
    assert not gptq_reaches(nn.Embedding(32, 32), LOW)
    assert not gptq_reaches(nn.Linear(32, 32), Params(6, GROUP)), "six bits do not fill a word"
    assert not gptq_reaches(nn.Linear(32, 32), Params(4, GROUP, "mxfp4"))
    assert not gptq_reaches(nn.Linear(32, 32).to_quantized(32, 4), LOW)
