"""Processes that listen to songs and draw looks while this one imports torch and draws pictures.

Python runs one thread at a time: importing torch, two seconds on any machine, and the many short calls of decoding,
drawing and styling would take turns on one core. Unlike with the pools of ``multiprocessing``, a program that calls
:mod:`covergen_cli.covers.generate` need not be importable: the processes run this module alone.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import accumulate
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covergen_cli.covers.background import Task
from covergen_cli.covers.listen import DESCRIPTORS

if TYPE_CHECKING:
    from covergen_cli.config import GenerateConfig
    from covergen_cli.covers.fingerprint import Models
    from covergen_cli.covers.plan import Job

_START = "import sys; sys.path[:] = sys.argv[2:]; from covergen_cli.covers.processes import serve; serve(sys.argv[1])"
_LENGTH = struct.Struct("<Q")
_log = logging.getLogger(__name__)


_LEAST_BYTES = 1_000_000
"""Sum of the sizes of music files below which listening takes less time than starting a process."""


class ProcessEndedError(Exception):
    """The process ended before it answered, as a crash of a decoder makes it do."""


def make_processes(jobs: Sequence[Job], config: GenerateConfig, models: Models) -> Processes:
    """Return processes that listen and draw looks, half as many as there are cores; none where threads do better.

    They do if the encoder or the tagger needs torch, if there is one core, little music, or nothing to do meanwhile.
    """
    spec, cores = models.encoder_spec, os.cpu_count() or 1
    needs_torch = models.takes_words or not (spec == DESCRIPTORS or spec["name"] == "mel")
    songs = {path for job in jobs for path in job.all_songs}
    can_start = sys.executable and not getattr(sys, "frozen", False)
    draws = models.base_folder != Path()
    if needs_torch or not can_start or cores == 1 or not (draws or len(songs) > 1):
        return Processes(0)
    sizes = (path.stat().st_size for path in songs if os.path.isfile(path))  # noqa: PTH113 — Path's may raise
    if not any(total >= _LEAST_BYTES for total in accumulate(sizes)):
        return Processes(0)
    imports = [] if config.look == "paint" else ["scipy.ndimage", "covergen_cli.covers.styling"]
    return Processes(cores // 2, imports)


class Processes:
    """A pool of processes, each started when it is first needed.

    Args:
        count: number of processes; with 0, or if none can be started, the calling threads do the work.
        imports: modules that a process imports after its first answer, while it waits for the next call.

    Attributes:
        count: number of processes; 0 once it turned out that none can be started.
    """

    def __init__(self, count: int, imports: Sequence[str] = ()) -> None:
        self.count, self._imports = count, imports
        self._slots = threading.Semaphore(max(1, count))
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._all: list[_Process] = []

    def run(
        self,
        work: Callable[..., Any],
        *arguments: object,
        check_stop: Callable[[], None] | None = None,
        or_here: bool = False,
    ) -> Any:
        """Return what a call of ``work`` in a process returns, or raise what it raises.

        Args:
            work: a function of a module.
            arguments: of the call.
            check_stop: called while waiting; may raise, which gives up the process.
            or_here: make the call in this thread if the process ends before it answers.

        Raises:
            ProcessEndedError: the process ended before it answered.
        """
        try:
            return self._run(work, arguments, check_stop)
        except ProcessEndedError:
            if not or_here:
                raise
            return work(*arguments)

    def _run(
        self, work: Callable[..., Any], arguments: tuple[object, ...], check_stop: Callable[[], None] | None
    ) -> Any:
        with self._slots:
            process = self._take(check_stop)
            if process is None:
                return work(*arguments)
            answer = process.call(work, arguments, check_stop)
            with self._lock:
                self._idle.append(process)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End all processes."""
        for process in self._all:
            process.end()

    def _take(self, check_stop: Callable[[], None] | None) -> _Process | None:
        """Return a process that waits for a call; ``None`` if there are to be none."""
        with self._lock:
            if self._idle or not self.count:
                return self._idle.pop() if self._idle else None
            try:
                process = _Process(self._imports)
                self._all.append(process)
                process.wait_for_start(check_stop)
            except (OSError, ProcessEndedError) as error:
                _log.debug("no process can be started: %s", error)
                self.count = 0
                return None
            return process


class _Process:
    """One process, which makes one call after the other."""

    def __init__(self, imports: Sequence[str]) -> None:
        self._process = subprocess.Popen(  # noqa: S603 — the arguments are ours
            [sys.executable, "-c", _START, ",".join(imports), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    def wait_for_start(self, check_stop: Callable[[], None] | None) -> None:
        """Wait until it can be called."""
        self._answer(check_stop)

    def call(
        self, work: Callable[..., Any], arguments: tuple[object, ...], check_stop: Callable[[], None] | None
    ) -> Any:
        """Return what a call returns, or the exception that it raises."""
        with suppress(OSError):  # if it has ended, so have its answers
            _send((work, arguments), self._process.stdin)
        return self._answer(check_stop)

    def _answer(self, check_stop: Callable[[], None] | None) -> Any:
        return Task(_receive, self._process.stdout).result(check_stop)

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        with suppress(OSError), self._process:  # closes the pipes
            pass


def _send(value: object, stream: Any) -> None:
    data = ForkingPickler.dumps(value)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def _receive(stream: Any) -> Any:
    head = stream.read(_LENGTH.size)
    data = stream.read(*_LENGTH.unpack(head)) if len(head) == _LENGTH.size else b""
    if not data:
        raise ProcessEndedError
    return ForkingPickler.loads(data)


def serve(imports: str) -> None:
    """Make the calls that stdin asks for and write what they return or raise to stdout, until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one decides
    requests = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what libraries print must not get between the answers
        _send(None, answers)
        with suppress(ProcessEndedError):
            while True:
                work, arguments = _receive(requests)
                _send(_called(work, arguments), answers)
                for name in filter(None, imports.split(",")):
                    importlib.import_module(name)
                imports = ""


def _called(work: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
    try:
        return work(*arguments)
    except Exception as error:  # noqa: BLE001 — raised again by the process that asked
        return error
