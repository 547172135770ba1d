"""Whatever the Hub or its library raises is one sentence of ours, without an address or a token in it."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest
from huggingface_hub import errors

from tui_tuner.errors import TunerError
from tui_tuner.models.hub.failures import failure, hub_failures
from tui_tuner.runs.control import StopRequested

SECRET = "https://cdn.example/x?signature=abc Authorization: Bearer hf_AAAAAAAAAAAAAAAAAAAA"


def bare(kind: type[Exception]) -> Exception:
    """An error of the library without the answer that it asks for."""
    return kind.__new__(kind, SECRET)


def answered(status: int, deep: bool = False) -> Exception:
    error = Exception(SECRET)
    error.response = SimpleNamespace(status_code=status)  # type: ignore[attr-defined]
    if not deep:
        return error
    outer = RuntimeError("outer")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "what", "code", "said"),
    [
        (bare(errors.GatedRepoError), "model", "model-gated",
         "the model org/m is gated: its owner asks you to accept terms first; accept them on the model's page and log "
         "in with `hf auth login`."),
        (bare(errors.RevisionNotFoundError), "model", "model-no-revision",
         "the model org/m has no such version; name a branch, a tag or a commit that its page lists, or none for the "
         "newest."),
        (bare(errors.RepositoryNotFoundError), "model", "model-not-found",
         "there is no model org/m on the hub that you can see; check the spelling, or log in with `hf auth login` if "
         "it is private."),
        (bare(errors.RepositoryNotFoundError), "upload", "model-not-found",
         "the Hub has no place for org/m that you may write to; check the owner's name, and log in with `hf auth "
         "login`."),
        (bare(errors.HFValidationError), "model", "usage",
         '"org/m" cannot be the name of a repository; write it as owner/name.'),
        (answered(401), "model", "hub-token",
         "org/m: the Hub does not know your token, or misses one; log in with `hf auth login`, or correct HF_TOKEN if "
         "you set it."),
        (answered(403), "model", "hub-forbidden",
         "org/m: your token may not read this repository; make a token with the right to read it, and log in with `hf "
         "auth login`."),
        (answered(403, deep=True), "upload", "hub-forbidden",
         "org/m: your token may not write this repository; make a token with the right to write it, and log in with "
         "`hf auth login`."),
    ],
)  # fmt: skip
def test_a_refusal_of_the_hub_is_a_sentence(error: Exception, what: str, code: str, said: str) -> None:
    told = failure(error, "org/m", what)
    assert (told.code, told.sentence()) == (code, said)


@pytest.mark.parametrize("status", [404, 413, 429, 500, 503])
@pytest.mark.parametrize("what", ["model", "upload"])
def test_no_answer_lets_an_address_or_a_token_out(status: int, what: str) -> None:
    told = failure(answered(status), "org/m", what)
    assert told.code and told.fix
    for part in ("http", "signature", "Bearer", "hf_A"):
        assert part not in told.sentence()


@pytest.mark.parametrize(
    ("number", "code", "where"),
    [(errno.ENOSPC, "no-space", ""), (errno.EACCES, "cache-not-writable", "/cache"), (errno.EROFS, "cache-not-writable",
      "/cache")],
)  # fmt: skip
def test_a_disk_in_trouble_is_not_taken_for_the_network(number: int, code: str, where: str) -> None:
    told = failure(OSError(number, os.strerror(number), "/cache/model"), "org/m")
    assert told.code == code and (told.where == where or not where) and "HF_HOME" in told.fix


def test_a_stop_and_our_own_errors_pass() -> None:
    with pytest.raises(StopRequested), hub_failures("org/m"):
        raise StopRequested("user")
    own = TunerError("mine", code="mine")
    with pytest.raises(TunerError) as caught, hub_failures("org/m"):
        raise own
    assert caught.value is own
    with pytest.raises(TunerError) as caught, hub_failures("org/m"):
        raise ConnectionError(SECRET)
    assert "check the network" in caught.value.fix and "signature" not in caught.value.sentence()
