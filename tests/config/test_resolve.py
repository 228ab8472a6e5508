import dataclasses
import json

import pytest

from covergen_cli.config import AdapterConfig, GenerateConfig
from covergen_cli.config.resolve import load_preset, preset_names, resolve, stages, user_config_file
from covergen_cli.errors import ConfigError
from tiny import write_json

STARTER = load_preset("starter")["generate"]


@pytest.fixture
def write_config():
    def write(text):
        user_config_file().parent.mkdir(parents=True, exist_ok=True)
        user_config_file().write_text(text, encoding="utf-8")

    return write


@pytest.mark.parametrize("name", preset_names()[1:])
def test_presets_hold_only_differences_of_keys_that_exist(name):
    preset = load_preset(name)
    assert preset
    for stage, settings in preset.items():
        defaults = {field.name: field.default for field in dataclasses.fields(stages()[stage])}
        defaults |= STARTER if name == "refine" else {}  # it comes after that preset
        assert settings.keys() <= defaults.keys()
        for key, value in settings.items():
            assert value != defaults[key], f"{name}: {stage}.{key} repeats the default"


def test_each_source_wins_over_the_one_before_it(write_config, monkeypatch):
    assert resolve(GenerateConfig, preset="default").steps == GenerateConfig.steps
    assert resolve(GenerateConfig, preset="starter").steps == STARTER["steps"]
    write_config("generate:\n  steps: 41\n")
    assert resolve(GenerateConfig, preset="starter").steps == 41
    monkeypatch.setenv("COVERGEN_GENERATE_STEPS", "42")
    assert resolve(GenerateConfig, preset="starter").steps == 42
    assert resolve(GenerateConfig, preset="starter", overrides={"steps": 43}).steps == 43


def test_a_source_changes_only_what_it_names(write_config):
    write_config("generate:\n  size: 1024\nsegment:\n")
    assert resolve(GenerateConfig, preset="default") == dataclasses.replace(GenerateConfig(), size=1024)
    assert resolve(AdapterConfig) == AdapterConfig()


@pytest.mark.parametrize(
    ("overrides", "starter"),
    [
        ({}, True),
        ({"base": "starter"}, True),
        ({"adapter": "runs/mine"}, False),
        ({"adapter": "runs/mine", "base": "starter"}, True),
        ({"base": "sd15"}, False),
    ],
)
def test_the_starter_brings_its_preset_and_other_models_do_not(overrides, starter):
    settings = resolve(GenerateConfig, overrides=overrides)
    assert (settings.guidance == STARTER["guidance"]) is starter


def test_the_refiner_brings_its_size_beside_the_starters_settings():
    settings = resolve(GenerateConfig, overrides={"refine": True})
    assert (settings.size, settings.steps) == (1024, STARTER["steps"])
    assert (settings.look, settings.tone) == ("paint", 0.0)
    assert resolve(GenerateConfig, overrides={"refine": True, "look": "auto"}).look == "auto"
    assert resolve(GenerateConfig, overrides={"refine": True, "size": 640}).size == 640
    assert resolve(GenerateConfig, overrides={"refine": True, "refiner": "sd15"}).size == GenerateConfig.size
    assert resolve(GenerateConfig, preset="xl", overrides={"adapter": "runs/mine"}).size == 1024


@pytest.mark.parametrize(
    ("reference", "presets"),
    [
        ("sd15", []),
        ("sd-turbo", ["turbo"]),
        ("stabilityai/sd-turbo@main", ["turbo"]),
        ("stabilityai/stable-diffusion-xl-base-1.0", ["xl"]),
        ("stabilityai/sdxl-turbo", ["turbo"]),
        ("someone/turbo-machines", []),
    ],
)
def test_presets_by_the_name_of_the_base(reference, presets):
    expected = dataclasses.replace(
        GenerateConfig(base=reference), **{k: v for name in presets for k, v in load_preset(name)["generate"].items()}
    )
    assert resolve(GenerateConfig, overrides={"base": reference}) == expected
    refined = resolve(GenerateConfig, overrides={"refine": True, "refiner": reference})
    assert (refined.refine_steps == 4) is ("turbo" in presets)
    assert (refined.size == 1024) is ("xl" in presets)


def test_a_folder_of_xl_is_known_by_its_configuration(tmp_path):
    (tmp_path / "unet").mkdir()
    for size, expected in ((128, 1024), (64, 512)):
        config = {"addition_embed_type": "text_time", "sample_size": size}
        (tmp_path / "unet" / "config.json").write_text(json.dumps(config))
        assert resolve(GenerateConfig, overrides={"base": str(tmp_path)}).size == expected


def test_the_paper_refines_with_its_own_prompt():
    assert resolve(GenerateConfig, preset="paper").refine_prompt == "album cover high resolution"


def test_a_preset_can_be_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("generate: {format: jpg, segment: '0:10-0:40'}\n", encoding="utf-8")
    settings = resolve(GenerateConfig, preset=str(file))
    assert (settings.format, settings.segment) == ("jpg", (10.0, 40.0))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("generate: {stepz: 3}", r"generate\.stepz", "did you mean steps?"),
        ("generat: {steps: 3}", "generat", "did you mean generate?"),
        ("generate: {steps: 0}", r"generate\.steps is 0; it takes 1 to 1000", None),
        ("generate: {size: big}", r"generate\.size is 'big', not a whole number", None),
        ("generate: 3", "found 3", "write name: value"),
        ("generate: [", "not valid YAML", None),
    ],
)
def test_mistakes_in_the_config_file_are_named_with_the_file(write_config, text, message, hint):
    write_config(text)
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(GenerateConfig)
    assert str(user_config_file()) in caught.value.message
    assert caught.value.hint == hint


def test_unknown_variables_are_named_with_the_nearest(monkeypatch):
    monkeypatch.setenv("COVERGEN_STEPS", "3")
    with pytest.raises(ConfigError, match="COVERGEN_STEPS") as caught:
        resolve(GenerateConfig)
    assert "COVERGEN_GENERATE_STEPS" in caught.value.hint


def test_a_variable_out_of_bounds_is_named(monkeypatch):
    monkeypatch.setenv("COVERGEN_GENERATE_GUIDANCE", "51")
    with pytest.raises(ConfigError, match=r"COVERGEN_GENERATE_GUIDANCE is 51\.0; it takes 0 to 50"):
        resolve(GenerateConfig)


def test_an_override_that_does_not_exist_is_named_as_a_flag():
    with pytest.raises(ConfigError, match="--sede") as caught:
        resolve(GenerateConfig, overrides={"sede": 3})
    assert caught.value.hint == "did you mean seed?"


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigError, match="startr") as caught:
        resolve(GenerateConfig, preset="startr")
    assert caught.value.hint == "did you mean starter?"
    with pytest.raises(ConfigError, match="no such preset file"):
        resolve(GenerateConfig, preset="nowhere.yaml")


@pytest.mark.parametrize("part", ["", "adapter"])
@pytest.mark.parametrize(("base", "starter"), [("starter", True), ("sd15", False)])
def test_an_adapter_that_was_trained_for_the_starter_brings_its_preset(tmp_path, part, base, starter):
    write_json(tmp_path / part / "adapter.json", {"base": {"reference": base}})
    assert (resolve(GenerateConfig, overrides={"adapter": str(tmp_path)}).guidance == STARTER["guidance"]) is starter
    elsewhere = resolve(GenerateConfig, overrides={"adapter": str(tmp_path), "base": "sd15"})
    assert elsewhere.guidance == GenerateConfig.guidance


@pytest.mark.parametrize("content", ["[]", "{", '{"base": 3}', "{}"])
def test_an_adapter_that_cannot_be_read_brings_no_preset(tmp_path, content):
    (tmp_path / "adapter.json").write_text(content)
    assert resolve(GenerateConfig, overrides={"adapter": str(tmp_path)}).guidance == GenerateConfig.guidance
