"""Run trainings in processes of their own, killed at a chosen moment; libraries are imported only once.

Started as a program, it reads one JSON object per line: arguments of ``covergen``, environment, and where to be killed.
It forks a process for each of the object's ``ranks``, and answers with their exit codes.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path


class Trainings:
    """The program above, from the outside."""

    def __init__(self):
        here = Path(__file__).parent
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(here), *sys.path])}
        environment |= {"COVERGEN_GENERATE_STEPS": "1", "HF_HUB_OFFLINE": "1"}
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 — lives as long as the program
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._stderr}
        self._program = subprocess.Popen([sys.executable, __file__], text=True, env=environment, **pipes)

    def __call__(self, *arguments, processes=1, port=0, hit=None, signal=signal.SIGKILL, at=1):
        """Run ``covergen``; at the ``at``-th call of ``hit`` the process gets the signal. Return the exit codes.

        What was written on stderr is then in ``told``.
        """
        order = {"arguments": [str(argument) for argument in arguments], "processes": processes, "port": port}
        order |= {"hit": hit, "signal": int(signal), "at": at}
        start = self._stderr.seek(0, os.SEEK_END)
        self._program.stdin.write(json.dumps(order) + "\n")
        self._program.stdin.flush()
        codes = json.loads(self._program.stdout.readline())
        self._stderr.seek(start)
        self.told = self._stderr.read()
        return codes if processes > 1 else codes[0]

    def close(self):
        self._program.stdin.close()
        self._program.wait(30)
        self._program.stdout.close()
        self._stderr.close()


def strike(hit, at, number):
    """Replace ``module:name`` by itself, but for the ``at``-th call, at which this process gets a signal first."""
    module, _, path = hit.partition(":")
    *holders, name = path.split(".")
    place = sys.modules[module]
    for holder in holders:
        place = getattr(place, holder)
    original, calls = getattr(place, name), []

    def struck(*arguments, **keywords):
        calls.append(None)
        if len(calls) == at:
            os.kill(os.getpid(), number)
        return original(*arguments, **keywords)

    setattr(place, name, struck)


def child(order, rank):
    from covergen_cli.cli.main import run

    if order["processes"] > 1:
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(order["processes"]),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(order["port"]),
            "ACCELERATE_USE_CPU": "true",
        }
    sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115
    if order["hit"]:
        strike(order["hit"], order["at"], order["signal"])
    code = run(order["arguments"])
    sys.stderr.flush()
    os._exit(code)


def make_curves_cheap():
    """Write an empty file in place of the curves, whose drawing takes longer than everything else in an epoch."""
    from covergen_cli.files import write_bytes
    from covergen_cli.training import run_folder

    run_folder.draw_curves = lambda run: write_bytes(run / run_folder.CURVES, b"")


def main():
    # Whatever a training imports along the way.
    for name in (
        "accelerate",
        "diffusers.models.attention_processor",
        "diffusers.models.autoencoders.autoencoder_kl",
        "diffusers.models.unets.unet_2d_condition",
        "diffusers.schedulers.scheduling_dpmsolver_multistep",
        "pandas",
        "torch.utils.tensorboard",
        "covergen_cli.cli.train",
        "covergen_cli.training.loop",
    ):
        importlib.import_module(name)
    make_curves_cheap()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        order = json.loads(line)
        children = []
        for rank in range(order["processes"]):
            pid = os.fork()
            if pid == 0:
                child(order, rank)
            children.append(pid)
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        answers.write(json.dumps(codes) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
