import pytest

from covergen_cli.audio.descriptors import NAMES
from covergen_cli.covers.looks import LOOKS, choose_look, look_weights, parse_look
from covergen_cli.covers.looks.auto import table
from covergen_cli.covers.looks.parse import make_look

MIDDLE = dict.fromkeys(NAMES, 0.5)


def test_variations_differ_in_look():
    names = [choose_look(MIDDLE, 7, variation=i).name for i in range(len(LOOKS) - 1)]
    assert len(set(names)) == len(names)
    assert "paint" not in names


def test_the_seed_decides_and_the_choice_can_be_written_down():
    look = choose_look(MIDDLE, 11, ["Folk"])
    assert look == choose_look(MIDDLE, 11, ["Folk"])
    assert parse_look(str(look)) == look
    assert len({choose_look(MIDDLE, seed).name for seed in range(40)}) > 5


def test_music_moves_the_weights():
    calm, intense = look_weights({**MIDDLE, "energy": 0}), look_weights({**MIDDLE, "energy": 1})
    assert calm["fluted"] > 2 * intense["fluted"]
    assert intense["halftone"] > 2 * calm["halftone"]
    assert sum(calm.values()) == pytest.approx(1)
    assert look_weights(MIDDLE, ["Cool Jazz"])["poster"] > 2 * look_weights(MIDDLE)["poster"]
    assert look_weights(MIDDLE, ["hip hop"]) != look_weights(MIDDLE)


def test_the_table_names_looks_and_values_that_exist():
    for name, row in table()["looks"].items():
        assert row.keys() <= {"base", "options", *NAMES}
        for key, values in row.get("options", {}).items():
            for value in values:
                make_look(LOOKS[name], {key: value})
    assert table()["looks"].keys() == LOOKS.keys() - {"paint"}
    for word, factors in table()["tags"].items():
        assert word == word.lower()
        assert factors.keys() <= LOOKS.keys()
