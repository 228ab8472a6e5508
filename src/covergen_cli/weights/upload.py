"""Upload a folder to the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path

from covergen_cli.errors import ConfigError, ModelError
from covergen_cli.weights.hub_cache import offline

_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")
_LOGIN_HINT = "Log in with: hf auth login, or set HF_TOKEN to a token that may write."


def check_repo_id(repo_id: str) -> None:
    """Check the form of a hub id.

    Raises:
        ConfigError: it is not ``OWNER/NAME``.
    """
    if not _REPO_ID.fullmatch(repo_id):
        raise ConfigError(f"{repo_id!r} is not a hub id", hint="Give OWNER/NAME.")


def upload_folder(folder: Path, repo_id: str, message: str, *, private: bool = False) -> str:
    """Upload all files of a folder as one commit, and return its URL.

    Args:
        folder: the folder.
        repo_id: ``OWNER/NAME``, which is created if there is none.
        message: of the commit.
        private: create it so that others cannot see it; an existing one keeps its visibility.

    Raises:
        ModelError: the network is off, the user is not logged in, or the hub refuses or cannot be reached.
    """
    if offline():
        raise ModelError(f"{repo_id} cannot be uploaded: the network is off", hint="Leave out --offline.")
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        api.create_repo(repo_id, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message).commit_url)
    except Exception as error:  # the hub's HTTP library, and with it the errors, depends on its version
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in {401, 403} or "token" in type(error).__name__.lower():
            raise ModelError(f"the hub does not allow to write to {repo_id}", hint=_LOGIN_HINT) from error
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{repo_id} cannot be uploaded: {reason}", hint="Nothing was published.") from error
