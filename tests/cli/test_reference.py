from pathlib import Path

import pytest

from covergen_cli.cli.main import COMMANDS
from covergen_cli.cli.reference import reference
from covergen_cli.config import GenerateConfig, field_docs

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_in_the_docs_is_what_the_commands_say():
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "run: python -m covergen_cli.cli.reference > docs/reference/cli.md"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_section(name):
    assert f"## covergen {name}\n" in reference()


def test_every_setting_has_its_row():
    for name in field_docs(GenerateConfig):
        assert f"`--{name.replace('_', '-')}`" in reference()
        assert f"`COVERGEN_GENERATE_{name.upper()}`" in reference()
