"""Splits: shares, groups that stay together, and pairs that stay where they were."""

import csv
from itertools import cycle

import numpy as np
import pytest

from covergen_cli.config import SplitConfig
from covergen_cli.dataset import split as module
from covergen_cli.dataset.assign_splits import Groups, assign_splits, parse_ratios, quotas
from covergen_cli.dataset.split import split_dataset
from covergen_cli.errors import ConfigError, InputError
from covergen_cli.events import SplitFinished, Warned
from covergen_cli.files import read_json

PARTS = ("train", "val", "test")
RATIOS = (0.8, 0.1, 0.1)


def write_table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def make_dataset(folder, rows, manifest_columns=("cover_id", "artist", "genre")):
    """Rows are (id, image, values of the manifest's columns); an image is its own content."""
    pairs, manifest = [], []
    for id_, image, *values in rows:
        path = folder / "images" / f"{id_}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(image)
        pairs.append((id_, f"images/{id_}.jpg", f"embeddings/mel/{id_}.npy"))
        manifest.append((id_, f"audio/{id_}.mp3", f"images/{id_}.jpg", *values))
    write_table(folder / "pairs.csv", ("id", "image_path", "embedding_path"), pairs)
    write_table(folder / "manifest.csv", ("id", "audio_path", "image_path", *manifest_columns), manifest)
    return folder


def songs(count, per_cover=3):
    return [
        (f"s{i}", f"image {i // per_cover}", f"c{i // per_cover}", f"Artist {i // 12}", ("rock", "pop", "pop")[i % 3])
        for i in range(count)
    ]


def run(folder, **settings):
    *others, last = split_dataset(folder, SplitConfig(**settings))
    assert isinstance(last, SplitFinished)
    return last, others


def sides_of(folder):
    sides = {}
    for part in PARTS:
        with (folder / "splits" / f"{part}.csv").open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                assert line["id"] not in sides
                sides[line["id"]] = part
    return sides


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "splits").iterdir())}


def together(sides, groups):
    """Every group stands on one side."""
    found = {}
    for id_, group in groups.items():
        found.setdefault(group, set()).add(sides[id_])
    return all(len(parts) == 1 for parts in found.values())


def grown(groups, count, sizes):
    for index in range(len(groups.sizes), count):
        for _ in range(sizes(index)):
            groups.add(f"g{index}", None)
    return groups


def shares(sides, groups):
    total = sum(groups.sizes.values())
    return [sum(groups.sizes[key] for key, side in sides.items() if side == part) / total for part in range(3)]


def test_without_groups_the_counts_are_the_paper_s():
    assert quotas(19_019, RATIOS) == (15_215, 1_902, 1_902)
    groups = grown(Groups(), 19_019, lambda _: 1)
    sides = list(assign_splits(groups, parse_ratios("80,10,10"), 0).values())
    assert [sides.count(part) for part in range(3)] == [15_215, 1_902, 1_902]


@pytest.mark.parametrize("ratios", [RATIOS, (0.5, 0.3, 0.2), (0.98, 0.01, 0.01), (0.9, 0.1, 0.0)])
def test_no_part_loses_a_place_when_a_row_is_added(ratios):
    before = quotas(10, ratios)
    for rows in range(11, 3000):
        now = quotas(rows, ratios)
        assert sum(now) == rows
        assert all(new >= old for new, old in zip(now, before, strict=True))
        before = now


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_met_within_one_percent_at_a_thousand_groups(seed):
    rng = np.random.default_rng(seed)
    groups = grown(Groups(), 1000, lambda _: min(20, 1 + int(rng.pareto(1.2))))
    assert shares(assign_splits(groups, RATIOS, seed), groups) == pytest.approx(RATIOS, abs=0.01)


def test_groups_that_were_placed_stay_while_the_shares_are_kept():
    rng = np.random.default_rng(0)
    groups = grown(Groups(), 1000, lambda _: int(rng.integers(1, 21)))
    before = assign_splits(groups, RATIOS, 7)
    more = Groups()
    more.sizes, more.placed = dict(groups.sizes), dict(before)
    after = assign_splits(grown(more, 1300, lambda _: int(rng.integers(1, 21))), RATIOS, 7)
    assert {key: after[key] for key in before} == before
    assert shares(after, more) == pytest.approx(RATIOS, abs=0.01)


def test_without_memory_only_groups_near_a_border_move():
    few, many = (assign_splits(grown(Groups(), count, lambda _: 1), RATIOS, 7) for count in (1000, 1100))
    moved = sum(few[key] != many[key] for key in few)
    assert moved < 50


def test_a_group_that_is_too_large_for_test_goes_to_train():
    groups = Groups({"giant": 500, **{f"g{i}": 1 for i in range(100)}})
    sides = assign_splits(groups, RATIOS, 0)
    assert sides["giant"] == 0
    assert set(sides.values()) == {0, 1, 2}


def test_three_large_groups_still_fill_three_parts():
    assert sorted(assign_splits(Groups({"a": 9, "b": 10, "c": 11}), RATIOS, 0).values()) == [0, 1, 2]


@pytest.mark.parametrize(("group", "column"), [("cover", 2), ("artist", 3)])
def test_no_group_stands_on_two_sides(tmp_path, group, column):
    rows = songs(240)
    finished, _ = run(make_dataset(tmp_path, rows), group=group)
    sides = sides_of(tmp_path)
    assert len(sides) == sum(finished.rows) == 240
    assert together(sides, {row[0]: row[column] for row in rows})
    assert set(sides.values()) == set(PARTS)


def test_a_mistake_in_placing_is_noticed_and_writes_nothing(tmp_path, monkeypatch):
    folder = make_dataset(tmp_path, songs(30))
    run(folder)
    before = bytes_of(folder)

    class Mistaken(dict):
        def __getitem__(self, key):
            return next(parts)

    parts = cycle(range(3))
    monkeypatch.setattr(module, "assign_splits", lambda groups, *_: Mistaken(dict.fromkeys(groups.sizes, 0)))
    with pytest.raises(AssertionError, match="in two parts"):
        run(folder)
    assert bytes_of(folder) == before


def test_without_cover_ids_equal_images_stay_together(tmp_path):
    rows = [(id_, image) for id_, image, *_ in songs(120)]
    run(make_dataset(tmp_path, rows, manifest_columns=()))
    assert together(sides_of(tmp_path), dict(rows))
    assert read_json(tmp_path / "splits" / "split.json")["grouped_by"] == "the bytes of the images"


def test_covers_need_no_manifest(tmp_path):
    (make_dataset(tmp_path, songs(30)) / "manifest.csv").unlink()
    run(tmp_path)
    assert together(sides_of(tmp_path), {row[0]: row[1] for row in songs(30)})


def test_artists_are_the_same_in_any_spelling_and_nameless_ones_stand_alone(tmp_path):
    names = ["Björk", "  björk ", "Bjo\u0308rk", "BJÖRK", "", ""] + [f"a{i}" for i in range(30)]
    rows = [(f"s{i}", f"{i}", "", name, "") for i, name in enumerate(names)]
    finished, events = run(make_dataset(tmp_path, rows), group="artist")
    sides = sides_of(tmp_path)
    assert len({sides[f"s{i}"] for i in range(4)}) == 1
    assert sum(finished.groups) == 33
    assert [event.message for event in events if isinstance(event, Warned)] == [
        "2 of 36 pairs have no artist; each of them is a group of its own"
    ]


def test_the_same_again_gives_the_same_bytes_in_any_order_of_rows(tmp_path):
    run(make_dataset(tmp_path / "a", songs(90)))
    first = bytes_of(tmp_path / "a")
    run(tmp_path / "a")
    assert bytes_of(tmp_path / "a") == first
    run(make_dataset(tmp_path / "b", songs(90)[::-1]))
    assert sides_of(tmp_path / "b") == sides_of(tmp_path / "a")


def test_added_rows_move_nothing(tmp_path):
    run(make_dataset(tmp_path, songs(300)), group="none")
    before = sides_of(tmp_path)
    finished, _ = run(make_dataset(tmp_path, songs(365)), group="none")
    after = sides_of(tmp_path)
    assert {id_: after[id_] for id_ in before} == before
    assert finished.rows == quotas(365, RATIOS)
    assert (finished.kept, finished.moved) == (300, 0)


def test_a_group_that_grows_together_with_train_leaves_the_test(tmp_path):
    rows = songs(90, per_cover=1)
    run(make_dataset(tmp_path, rows))
    before = sides_of(tmp_path)
    tested = next(id_ for id_, part in before.items() if part == "test")
    trained = next(id_ for id_, part in before.items() if part == "train")
    joined = [(row[0], row[1], "joined" if row[0] in (tested, trained) else row[2], *row[3:]) for row in rows]
    finished, _ = run(make_dataset(tmp_path, joined))
    assert sides_of(tmp_path) == {**before, tested: "train"}
    assert finished.moved == 1


def test_another_seed_divides_anew(tmp_path):
    run(make_dataset(tmp_path, songs(90)), seed=0)
    first = sides_of(tmp_path)
    finished, _ = run(tmp_path, seed=1)
    assert sides_of(tmp_path) != first
    assert finished.kept == 0


def test_balance_makes_every_genre_count_alike(tmp_path):
    run(make_dataset(tmp_path, songs(120)), group="none", balance="genre")
    with (tmp_path / "splits" / "train.csv").open(encoding="utf-8", newline="") as file:
        weights = {line["id"]: float(line["weight"]) for line in csv.DictReader(file)}
    genres = {row[0]: row[4] for row in songs(120)}
    sums = {genre: sum(w for id_, w in weights.items() if genres[id_] == genre) for genre in ("rock", "pop")}
    assert sums["rock"] == pytest.approx(sums["pop"], rel=1e-4)
    assert sum(weights.values()) == pytest.approx(len(weights), rel=1e-4)
    for part in ("val", "test"):
        assert "weight" not in (tmp_path / "splits" / f"{part}.csv").read_text().splitlines()[0]


def test_an_empty_part_on_request(tmp_path):
    finished, _ = run(make_dataset(tmp_path, songs(60)), ratios="90,10,0")
    assert finished.rows[2] == 0
    assert (tmp_path / "splits" / "test.csv").read_text() == "id,image_path,embedding_path\n"


@pytest.mark.parametrize(
    ("change", "settings", "kind", "words"),
    [
        (lambda folder: (folder / "pairs.csv").unlink(), {}, InputError, "pairs.csv is missing"),
        (lambda folder: (folder / "manifest.csv").unlink(), {"group": "artist"}, InputError, "manifest.csv"),
        (lambda folder: (folder / "images" / "s1.jpg").unlink(), {}, InputError, "s1.jpg cannot be read"),
        (lambda _: None, {"balance": "mood"}, ConfigError, "has no column mood"),
        (lambda _: None, {"ratios": "0,50,50"}, ConfigError, "nothing to train on"),
        (lambda _: None, {"group": "artist"}, InputError, "the pairs form 1 group, but 3 parts need one each"),
    ],
)
def test_what_cannot_be_divided_is_told(tmp_path, change, settings, kind, words):
    rows = [(id_, image, "", artist, genre) for id_, image, _, artist, genre in songs(12)]
    change(make_dataset(tmp_path, rows))
    with pytest.raises(kind, match=words) as caught:
        run(tmp_path, **settings)
    assert caught.value.hint
    assert not (tmp_path / "splits").exists()


def test_damaged_splits_are_not_passed_over(tmp_path):
    run(make_dataset(tmp_path, songs(30)))
    (tmp_path / "splits" / "val.csv").unlink()
    with pytest.raises(InputError, match="damaged"):
        run(tmp_path)
