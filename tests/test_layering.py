"""The floors of the house: a module may import lower floors only, and nothing below the command line speaks."""

import ast
from pathlib import Path

import pytest

import covergen_cli

ROOT = Path(covergen_cli.__file__).parent
FLOORS = [
    {"events", "errors"},
    {"files"},
    {"provenance"},
    {"config"},
    {"weights"},
    {"audio", "models"},
    {"measures"},
    {"synthetic"},
    {"diffusion"},
    {"covers", "dataset"},
    {"training"},
    {"evaluation", "starter"},
    {"cli", "__main__"},
]
LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}
FILES = sorted(ROOT.rglob("*.py"))
STDLIB_ONLY = FLOORS[0]


def room_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path):
    """Every module that a file imports, anywhere in it, as a full dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ["covergen_cli", *path.relative_to(ROOT).parts[:-1]]
            base = package[: len(package) + 1 - node.level] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), name.name]) for name in node.names)


def called(path):
    """Names of the functions that a file calls, as they are written."""
    calls = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    return {ast.unparse(call.func) for call in calls}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path):
    here = room_of(path)
    for name in imported(path):
        package, _, rest = name.partition(".")
        there = rest.partition(".")[0]
        if package == "covergen_cli" and there in LEVEL and there != here:
            assert here in LEVEL, f"{here} stands on no floor"
            beside_main = here == "__main__" and there == "cli"
            assert LEVEL[there] < LEVEL[here] or beside_main, f"{here} imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) not in {"cli", "__main__"}], ids=str)
def test_nothing_below_the_command_line_speaks(path):
    libraries = {name.partition(".")[0] for name in imported(path)}
    assert not libraries & {"click", "rich", "tqdm"}
    assert not called(path) & {"print", "sys.exit", "exit", "quit", "os._exit"}


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in STDLIB_ONLY], ids=str)
def test_the_ground_floor_needs_nothing(path):
    libraries = {name.partition(".")[0] for name in imported(path)} - {"covergen_cli"}
    assert libraries <= {"__future__", "dataclasses", "inspect", "pathlib", "re", "typing"}


def test_every_room_stands_on_a_floor():
    assert {room_of(path) for path in FILES} - {"__init__"} <= LEVEL.keys()


def test_no_pickle_on_any_path():
    for path in FILES:
        assert not {name.partition(".")[0] for name in imported(path)} & {"pickle", "joblib", "dill"}
        assert "torch.load" not in called(path), path
