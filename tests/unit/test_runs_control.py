"""Steering a job from other threads: every wait here ends by a condition, never by the clock."""

from __future__ import annotations

import threading

import pytest

from tui_tuner.runs import JobControl, StopRequested

LONG = 20.0  # seconds after which a wait counts as stuck


def waiting_job(control: JobControl) -> tuple[threading.Thread, threading.Event]:
    """A job that waits while it is paused, and sets the event once it goes on."""
    went_on = threading.Event()

    def work() -> None:
        control.wait_while_paused()
        went_on.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread, went_on


def test_stop_is_final_and_keeps_the_first_reason() -> None:
    control = JobControl()
    control.check()
    assert not control.stop_requested
    assert control.stop_reason == ""
    control.stop("signal")
    control.stop("user")
    assert control.stop_requested
    assert control.stop_reason == "signal"
    with pytest.raises(StopRequested, match="signal"):
        control.check()


def test_a_job_that_is_not_paused_does_not_wait() -> None:
    control = JobControl()
    control.wait_while_paused()
    assert control.wait_for_attention()


def test_proceed_wakes_a_paused_job() -> None:
    control = JobControl()
    control.pause()
    thread, went_on = waiting_job(control)
    assert not went_on.is_set()
    control.proceed()
    thread.join(LONG)
    assert went_on.is_set()
    assert not control.paused


def test_stop_wakes_a_paused_job() -> None:
    control = JobControl()
    control.pause()
    thread, went_on = waiting_job(control)
    control.stop()
    thread.join(LONG)
    assert went_on.is_set()
    assert control.paused


def test_requests_and_interludes_do_not_end_a_pause() -> None:
    control = JobControl()
    control.pause()
    thread, went_on = waiting_job(control)
    control.request("evaluate")
    control.submit_interlude(lambda model: None)
    assert not went_on.wait(0.05)
    control.proceed()
    thread.join(LONG)
    assert went_on.is_set()


@pytest.mark.parametrize("wake", ["request", "interlude", "stop", "proceed"])
def test_a_paused_job_that_serves_is_woken_by_anything_to_do(wake: str) -> None:
    control = JobControl()
    control.pause()
    assert not control.wait_for_attention(timeout=0.01)
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(control.wait_for_attention(LONG)), daemon=True)
    thread.start()
    {
        "request": lambda: control.request("checkpoint"),
        "interlude": lambda: control.submit_interlude(print),
        "stop": control.stop,
        "proceed": control.proceed,
    }[wake]()
    thread.join(LONG)
    assert woken == [True]


def test_requests_are_handed_out_once_and_in_order() -> None:
    control = JobControl()
    control.request("learning_rate", 1e-4)
    control.request("evaluate")
    assert control.take_requests() == [("learning_rate", 1e-4), ("evaluate", None)]
    assert control.take_requests() == []


def test_interludes_are_handed_out_once_and_in_order() -> None:
    control = JobControl()
    served: list[str] = []
    control.submit_interlude(lambda model: served.append(f"first {model}"))
    control.submit_interlude(lambda model: served.append(f"second {model}"))
    for interlude in control.take_interludes():
        interlude("model")
    assert served == ["first model", "second model"]
    assert control.take_interludes() == []


def test_requests_from_many_threads_are_all_taken() -> None:
    control = JobControl()
    threads = [
        threading.Thread(target=lambda base=base: [control.request("n", base + i) for i in range(200)])
        for base in range(0, 1600, 200)
    ]
    taken: list[int] = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += [value for _, value in control.take_requests()]
    taken += [value for _, value in control.take_requests()]
    assert sorted(taken) == list(range(1600))


def test_listeners_hear_of_changes_only_and_can_leave() -> None:
    control = JobControl()
    heard: list[bool] = []
    leave = control.on_change(lambda: heard.append(control.paused))  # asks back: no lock may be held
    control.pause()
    control.pause()
    control.proceed()
    control.request("evaluate")
    assert heard == [True, False, False]
    leave()
    leave()
    control.stop()
    assert len(heard) == 3


def test_a_failing_listener_keeps_nobody_from_hearing() -> None:
    control = JobControl()
    heard: list[str] = []

    def fail() -> None:
        raise RuntimeError("broken screen")

    control.on_change(fail)
    control.on_change(lambda: heard.append("stop"))
    with pytest.raises(RuntimeError, match="broken screen"):
        control.stop()
    assert heard == ["stop"]
    assert control.stop_requested
