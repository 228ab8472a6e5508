"""The rules of stores, and the settings that follow from them."""

from datetime import date
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from covergen_cli.config import GenerateConfig
from covergen_cli.covers.plan import Job
from covergen_cli.covers.stores import UPLOADED, check_formats, for_store, load_stores, max_bytes, with_size_notice
from covergen_cli.errors import ConfigError
from covergen_cli.events import CoverFinished, Warned


def test_the_setting_offers_exactly_the_stores_there_are():
    (choices, _none) = get_args(get_type_hints(GenerateConfig)["store"])
    assert list(get_args(choices)) == list(load_stores())
    assert set(UPLOADED) == set(load_stores()) - {"file"}


@pytest.mark.parametrize("store", load_stores().values(), ids=lambda store: store.name)
def test_rules_agree_with_themselves_and_say_where_they_come_from(store):
    assert store.min_size <= store.size <= (store.max_size or store.size)
    assert store.formats[0] in {"jpg", "png"}
    assert store.sources
    for source in store.sources:
        assert date(2020, 1, 1) < date.fromisoformat(source.date) < date(2030, 1, 1)
        assert source.url is None or source.url.startswith("https://")


@pytest.mark.parametrize(("store", "size"), [("spotify", 3000), ("distrokid", 3000), ("file", 1400)])
def test_a_store_decides_size_and_format(store, size):
    config = for_store(GenerateConfig(store=store), {})
    assert (config.size, config.format) == (size, "jpg")


def test_without_a_store_nothing_changes():
    assert for_store(GenerateConfig(), {}) == GenerateConfig()
    assert max_bytes(None) is None


def test_what_was_asked_for_outright_stays_where_the_store_takes_it():
    config = for_store(GenerateConfig(store="spotify", size=1500, format="png"), {"size", "format"})
    assert (config.size, config.format) == (1500, "png")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"store": "apple", "size": 1400}, "at least 3000"),
        ({"store": "file", "size": 1500}, "at most 1400"),
        ({"store": "distrokid", "format": "png"}, "distrokid does not accept png"),
    ],
)
def test_what_a_store_does_not_take_is_refused_before_anything_is_drawn(settings, message):
    with pytest.raises(ConfigError, match=message):
        for_store(GenerateConfig(**settings), settings.keys() - {"store"})


def test_a_file_name_has_to_fit_the_store():
    job = Job(Path("a.mp3"), Path("a.png"), 0, "png")
    check_formats([job], GenerateConfig(store="spotify"))
    check_formats([job], GenerateConfig())
    with pytest.raises(ConfigError, match=r"does not accept png \(a\.png\)") as caught:
        check_formats([job], GenerateConfig(store="distrokid"))
    assert "a.jpg" in caught.value.hint


@pytest.mark.parametrize(("store", "native", "warned"), [("apple", 256, 1), ("apple", 3000, 0), (None, 256, 0)])
def test_enlarging_for_a_store_is_reported_once(store, native, warned):
    finished = CoverFinished(Path("a.mp3"), Path("a.jpg"), 0, (0.0, 1.0), 1.0, native)
    events = list(with_size_notice((event for event in [finished] * 3), GenerateConfig(store=store, size=3000)))
    notices = [event for event in events if isinstance(event, Warned)]
    assert len(notices) == warned
    assert len(events) == 3 + warned
    assert not notices or ("256" in notices[0].message and "3000" in notices[0].message)
