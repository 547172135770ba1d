"""The whole loop as one job: check, data, baseline, train, evaluate, verdict. Runs on the MLX thread.

A run folder is all it takes, and all it leaves. Asked to run a folder that was interrupted, it does what is left; it
must never do again what was finished, and never leave a run without an end event while it lives.
"""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui_tuner.config import Experiment, dump_experiment, load_experiment
from tui_tuner.data.draft import draft
from tui_tuner.data.prepare import Prepared, Row, prepared_of, read_prepared, write_prepared
from tui_tuner.engine.adviser import Adviser
from tui_tuner.engine.awake import kept_awake
from tui_tuner.engine.chat_form import form_of_run, record_form
from tui_tuner.engine.consent import allow_code, check_metrics
from tui_tuner.engine.data_stage import lint_or_refuse
from tui_tuner.engine.document import document_of
from tui_tuner.engine.evaluate_stage import Examiner, Subject, TestRows, check_cases, judged, test_rows
from tui_tuner.engine.fetching import logged
from tui_tuner.engine.foretell import foretell
from tui_tuner.engine.new_run import add_fingerprints, check_fingerprints, note_model, note_ranks, read_base
from tui_tuner.engine.output import printing_to
from tui_tuner.engine.patience import Patience
from tui_tuner.engine.probes import probe_tokens
from tui_tuner.engine.quantized import with_fewer_bits
from tui_tuner.engine.ranks.member import connect
from tui_tuner.engine.recorder import Recorder
from tui_tuner.engine.requests import ONE, RankPlace
from tui_tuner.engine.rows import tokenised
from tui_tuner.engine.run_store import checkpoints
from tui_tuner.engine.shelf import ModelShelf
from tui_tuner.engine.tracked import send_along
from tui_tuner.engine.train_stage import TrainStage, make_order, put_start, settled
from tui_tuner.errors import TunerError, brief, without_secrets
from tui_tuner.evaluation.benchmark import BenchmarkResult
from tui_tuner.evaluation.report import write_report
from tui_tuner.models.adapters import attach
from tui_tuner.models.device import working_memory
from tui_tuner.models.folder import locate
from tui_tuner.models.hub import watching
from tui_tuner.models.libraries import backend, backend_advice, ready
from tui_tuner.models.load import Base, fresh_tree
from tui_tuner.models.start import locate_start
from tui_tuner.runs import Event, EventLog, RunFolder, RunView, StopRequested, read_events
from tui_tuner.runs.control import JobControl
from tui_tuner.runs.files import remove_leftovers, write_atomic
from tui_tuner.runs.lock import RunLock
from tui_tuner.runs.requests import RequestWatch
from tui_tuner.training.checkpoint import CheckpointStore, Snapshot
from tui_tuner.training.fast.order import FastOrder, padding_report
from tui_tuner.training.parts import Order
from tui_tuner.training.ranks import ALONE, Ranks


def run_experiment(
    folder: RunFolder, control: JobControl, shelf: ModelShelf, place: RankPlace = ONE, *, locked: bool = False
) -> dict[str, Any]:
    """Runs a run folder to its end, or until a stop; returns the document that `run --json` prints.

    With several ranks this is what rank 0 does; the others `join_run`.

    Args:
        locked: whether the caller holds the run's lock (`takeup`).

    Raises:
        TunerError: when another process runs it, or a stage fails (the run then ends as failed, and says why).
    """
    ready()  # before anything touches mlx, which keeps the BLAS it finds first
    with (
        contextlib.nullcontext() if locked else RunLock(folder),
        EventLog(folder.events) as log,
        printing_to(folder.log),
        kept_awake(),
        RequestWatch(folder, control),
        working_memory(),
    ):
        for part in (folder.path, folder.data, folder.adapters, folder.state, folder.evaluation):
            remove_leftovers(part)  # of a writer that was killed: whoever holds the lock is the only one
        return _Pipeline(folder, control, shelf, log, place).run()


class _Pipeline:
    def __init__(
        self, folder: RunFolder, control: JobControl, shelf: ModelShelf, log: EventLog, place: RankPlace
    ) -> None:
        self._folder, self._control, self._shelf, self._log = folder, control, shelf, log
        self._place = place
        self._ranks: Ranks = ALONE
        self._patience = Patience(control, self._waited_for_space)
        self._adviser = Adviser(log.append)
        self._beside = contextlib.ExitStack()  # what is at work from the first event to the last but one
        self._view = RunView()
        self._events = read_events(folder.events)
        self._view.extend(self._events)
        self._was_finished = (self._view.finished or {}).get("status") == "finished"
        self._results: dict[str, BenchmarkResult] = {}

    def _emit(self, type: str, **fields: Any) -> Event:
        """Writes an event, and what the doctor has to say to it; a full disk is waited for."""
        event = self._patience(self._log.append, type, **fields)
        self._adviser.hear(event)
        return event

    def _waited_for_space(self, seconds: float) -> None:
        with contextlib.suppress(TunerError):
            text = f"the disk was full for {seconds:.0f} s; the run waited and goes on"
            self._log.append("log", level="warning", text=text)

    def run(self) -> dict[str, Any]:
        status, reason = "failed", "it ended without saying why"
        try:
            with self._beside:
                status, reason = self._stages()
        except StopRequested:
            status, reason = "stopped", f"stopped by {self._control.stop_reason or 'user'}"
        except TunerError as error:
            reason = error.sentence()
            raise
        except MemoryError as error:
            reason = "the machine ran out of memory"
            raise TunerError(reason, code="no-memory", fix="lower train.batch_size or train.max_seq_length") from error
        except (KeyboardInterrupt, SystemExit):
            reason = "interrupted"
            raise
        except BaseException as error:  # a panic in a library's Rust code is no Exception
            sys.stderr.write(without_secrets(traceback.format_exc()))  # to engine.log
            reason = f"an unexpected error: {type(error).__name__}: {brief(error)}"
            raise TunerError(
                reason,
                code="internal",
                where=str(self._folder.log),
                fix="look there for the details, then resume the run",
            ) from error
        finally:
            if status == "failed":
                self._shelf.clear()  # after a failure inside mlx its model objects are not to be trusted
            with contextlib.suppress(TunerError):  # a full disk must not hide what happened
                self._log.append("run_finished", status=status, reason=reason)
        return document_of(self._folder, status)

    def _stages(self) -> tuple[str, str]:
        experiment = load_experiment(self._folder.config)
        resumed = self._view.started is not None
        self._adviser.begin(self._events, experiment)
        # The rest of what an earlier session reported is in the views; a long run's is large.
        self._events = [event for event in self._events if event["type"] in ("control", "checkpoint")]
        store = checkpoints(self._folder, experiment.train)
        snapshot = self._last_checkpoint(store)
        self._emit(
            "run_started",
            name=experiment.run.name,
            steps=experiment.train.iters,
            seed=experiment.run.seed,
            model=experiment.model.path,
            data=experiment.data.source,
            method=experiment.adapter.method,
            resumed=resumed,
            from_step=self._from_step(snapshot),
            device=backend(),
            device_advice=backend_advice(),
            memory_limit=self._adviser.memory_limit,
            ranks=self._place.size,
            ranks_backend=self._place.backend,
        )
        send_along(self._folder, experiment.tracking.to, self._log.append)
        self._beside.enter_context(Recorder(self._log.append))
        note_ranks(self._folder, self._place.size, self._place.backend)
        with self._stage("check"):
            self._ranks = connect(self._place)
            allow_code(experiment)  # before anything looks into the model's folder
            if experiment.model.trust_remote_code:
                text = f"the configuration allows code that is not ours: {experiment.model.trust_remote_code}"
                self._emit("log", level="warning", text=text)
            check_metrics(experiment)
            experiment = self._with_fewer_bits(experiment)
            base, untrained = self._check(experiment, begun=snapshot is not None)
        with self._stage("data"):
            prepared, order = self._prepare(experiment, base, begun=snapshot is not None)
        test = test_rows(experiment, prepared, self._emit)
        examiner = Examiner(experiment, self._folder.evaluation, emit=self._emit, control=self._control)
        start = self._start(experiment) if snapshot is None else None
        if wanted := bool(test) or examiner.suites_wanted:
            self._evaluate("baseline", "before", examiner, Subject(base, untrained, start), test)
        else:
            self._skip("baseline", "no test rows to answer")
        del untrained  # the weights to start from are in memory only as long as they are measured
        self._train(experiment, base, order, prepared.valid, store, snapshot)
        if wanted:
            tuned = self._shelf.with_adapter(base, self._folder.adapters)
            self._evaluate("evaluate", "after", examiner, Subject(base, tuned, self._folder.adapters), test)
        else:
            self._skip("evaluate", "")
        sentence = self._judge(experiment, test)
        return "finished", sentence

    def _with_fewer_bits(self, experiment: Experiment) -> Experiment:
        """The experiment on the base that is trained; what it is written down as from here on."""

        def say(text: str) -> None:
            self._emit("log", level="info", text=text)

        with watching(logged(self._emit, self._control.check)):
            made = with_fewer_bits(experiment, read_base(self._folder), say=say, check=self._control.check)
        if made is not experiment:
            write_atomic(self._folder.config, dump_experiment(made))
            note_model(self._folder, made.model.path)
        return made

    def _start(self, experiment: Experiment) -> Path | None:
        """The weights that training begins with besides the base, which the baseline is measured of."""
        text = experiment.adapter.start_from
        return locate_start(text, read_base(self._folder)) if text else None

    def _last_checkpoint(self, store: CheckpointStore) -> Snapshot | None:
        loaded = store.load()
        if loaded is None:
            return None
        snapshot, problems = loaded
        for problem in problems:
            self._emit("log", level="warning", text=problem)
        return snapshot

    def _from_step(self, snapshot: Snapshot | None) -> int:
        """Where training is taken up; what was trained to its end stays trained, whatever checkpoint is left of it."""
        if snapshot is None:
            return 0
        return self._view.step if self._was_done("train") else snapshot.progress.step

    def _check(self, experiment: Experiment, *, begun: bool) -> tuple[Base, Any]:
        """Everything that can be known to fail is found here, before a step is trained.

        Args:
            begun: whether there is a checkpoint, in which the weights to start from are contained.

        Returns:
            The base, and the model that training begins with.
        """
        with watching(logged(self._emit, self._control.check)):
            place = locate(experiment.model.path, read_base(self._folder))
        self._emit("log", level="info", text=f"mlx computes on {backend()}")
        if self._place.size > 1:
            text = f"{self._place.size} ranks train together over {self._place.backend}"
            self._emit("log", level="info", text=text)
        if advice := backend_advice():
            self._emit("log", level="info", text=advice)
        self._adviser.weigh(place)
        form = form_of_run(self._folder, experiment)
        record_form(self._folder, form)
        base = self._shelf.base(str(place), template=form)
        tree = fresh_tree(base)
        attached = attach(tree, experiment.adapter)
        self._emit("log", level="info", text=f"model {experiment.model.path}: {attached.sentence()}")
        for note in attached.notes:
            self._emit("log", level="info", text=note)
        probe_tokens(experiment, base.tokenizer)
        check_cases(experiment, base.tokenizer)
        if begun or not experiment.adapter.start_from:
            return base, base.model
        start = put_start(self._folder, tree, experiment.adapter)
        self._emit("log", level="info", text=start.sentence())
        for doubt in start.doubts:
            self._emit("log", level="warning", text=doubt)
        tree.eval()
        return base, tree

    def _prepare(self, experiment: Experiment, base: Base, *, begun: bool) -> tuple[Prepared, Order]:
        folder = self._folder.data
        if (folder / "train.jsonl").is_file() and self._was_done("data"):
            prepared = read_prepared(folder)
            if not self._was_finished:
                check_fingerprints(self._folder, base.path, folder)
        else:
            made = draft(experiment.data, experiment.run.seed, read_base(self._folder))
            prepared = prepared_of(made)
            lint_or_refuse(made, experiment, base.tokenizer, self._emit, self._control.check)
            write_prepared(prepared, folder)
            add_fingerprints(self._folder, base.path, folder)
            for note in prepared.notes:
                self._emit("log", level="info", text=note)
        train, valid = tokenised(experiment, base, prepared)
        cut = sum(len(e.tokens) > experiment.train.max_seq_length for e in train + valid)
        if cut:
            text = f"{cut} rows are longer than {experiment.train.max_seq_length} tokens and are cut"
            self._emit("log", level="warning", text=text)
        # A set too small for a batch is an error now, not after the baseline.
        order = make_order(experiment, train, valid, self._place.size)
        counts = len(prepared.train), len(prepared.valid), len(prepared.test)
        text = "rows: {} to train, {} to validate, {} to test".format(*counts)
        self._emit("log", level="info", text=text)
        size, length = experiment.train.batch_size, experiment.train.max_seq_length
        padding = order.padding if isinstance(order, FastOrder) else padding_report(train, size, length)
        self._emit(
            "plan",
            steps=settled(experiment.train, order).iters,
            rows=len(train),
            batches_per_epoch=order.batches_per_epoch,
            mode=experiment.train.mode,
            padding_fraction=padding.fast if experiment.train.mode == "fast" else padding.stock,
            stock_padding_fraction=padding.stock,
            fast_padding_fraction=padding.fast,
            eval_every=experiment.train.eval_every if order.validation_count(experiment.train.eval_batches) else 0,
        )
        if not begun and self._place.size == 1:
            foretell(
                experiment, base, order, train, valid, prepared.test, emit=self._emit, control=self._control
            )  # fmt: skip
        return prepared, order

    def _evaluate(self, stage: str, label: str, examiner: Examiner, subject: Subject, test: TestRows) -> None:
        """Answers the test rows and asks the suites, as far as that is wanted and was not done."""
        done = examiner.known(label, self._was_done(stage)) if test else None
        if done is not None:
            self._results[label] = done
        if self._was_done(stage) and (done is not None or not test):
            return
        with self._stage(stage):
            if test:
                # A kill may have come between the file and the events that tell of it.
                result = done or examiner.answer(subject, test, label, stage)
                self._results[label] = result
                self._emit("evaluation", label=label, metrics=result.metrics, n=test.judged)
            examiner.ask_suites(subject, label, stage)

    def _train(
        self,
        experiment: Experiment,
        base: Base,
        order: Order,
        valid: list[Row],
        store: CheckpointStore,
        snapshot: Snapshot | None,
    ) -> None:
        """Trains what is left.

        Raises:
            StopRequested: when it was stopped on the way.
        """
        if snapshot is not None and self._was_done("train"):
            return
        with self._stage("train"):
            stage = TrainStage(
                self._folder,
                experiment,
                base,
                order,
                valid,
                emit=self._emit,
                advise=self._adviser.say,
                control=self._control,
                patience=self._patience,
                ranks=self._ranks,
            )
            outcome = stage.run(store, snapshot, [*self._events, *self._view.samples])
            if outcome.status == "stopped":
                raise StopRequested
            if outcome.reason:
                self._emit("log", level="info", text=f"training ended after step {outcome.step}: {outcome.reason}")

    def _judge(self, experiment: Experiment, test: TestRows) -> str:
        if not test:
            self._skip("verdict", "nothing was benchmarked")
            return "trained; nothing was benchmarked"
        with self._stage("verdict"):
            metrics, sentence = judged(self._folder, self._results)
            self._emit("verdict", metrics=metrics, sentence=sentence)
            write_report(self._folder, experiment)
        return sentence

    def _skip(self, stage: str, text: str) -> None:
        self._emit("stage", name=stage, status="skipped", seconds=0.0, text=text)

    def _was_done(self, stage: str) -> bool:
        status = self._view.stages.get(stage)
        return status is not None and status.status == "done"

    @contextlib.contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self._control.check()
        self._emit("stage", name=name, status="running", seconds=0.0, text="")
        started = time.perf_counter()
        try:
            yield
        except StopRequested:
            raise
        except BaseException as error:
            text = error.sentence() if isinstance(error, TunerError) else f"{type(error).__name__}: {brief(error)}"
            with contextlib.suppress(TunerError):
                self._emit("stage", name=name, status="failed", seconds=time.perf_counter() - started, text=text)
            raise
        self._emit("stage", name=name, status="done", seconds=time.perf_counter() - started, text="")
