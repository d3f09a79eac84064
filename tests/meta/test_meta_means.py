"""Keys, addresses and permissions come from the environment of whoever runs Pawl, and from nowhere else."""

from __future__ import annotations

import json

import pytest

from pawl.control.errors import SettingsError
from pawl.control.means import read_means
from pawl.meta.means import Means

ADDRESS = "https://models.example.com/v1"
SECRET = "key-that-nobody-may-see-0123456789"


def test_nothing_is_allowed_by_default() -> None:
    assert read_means({"PATH": "/bin", "HOME": "/root"}) == Means()


@pytest.mark.parametrize(
    ("environment", "means"),
    [
        ({"ANTHROPIC_API_KEY": "a", "OPENAI_API_KEY": "b"}, Means({"anthropic": "a", "openai": "b"})),
        ({"ANTHROPIC_API_KEY": ""}, Means()),
        (
            {"PAWL_MODEL_ADDRESSES": f" {ADDRESS} , http://127.0.0.1:11434/v1,, "},
            Means(addresses=frozenset({ADDRESS, "http://127.0.0.1:11434/v1"})),
        ),
        # Who gives a key for an address has allowed the address.
        ({"PAWL_MODEL_KEYS": json.dumps({ADDRESS: "k"})}, Means({ADDRESS: "k"}, frozenset({ADDRESS}))),
        ({"PAWL_ALLOW_COMMANDS": "1"}, Means(commands=True)),
        ({"PAWL_ALLOW_COMMANDS": "0"}, Means()),
        ({"PAWL_ALLOW_COMMANDS": ""}, Means()),
        (
            {
                "PAWL_COMMAND_ENV": "ANTHROPIC_API_KEY, MISSING ,TERM",
                "ANTHROPIC_API_KEY": "a",
                "TERM": "xterm",
            },
            Means({"anthropic": "a"}, command_environment={"ANTHROPIC_API_KEY": "a", "TERM": "xterm"}),
        ),
    ],
)
def test_what_the_environment_allows(environment: dict[str, str], means: Means) -> None:
    assert read_means(environment) == means


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"PAWL_ALLOW_COMMANDS": "yes"}, "PAWL_ALLOW_COMMANDS is 1 or nothing"),
        ({"PAWL_MODEL_KEYS": SECRET}, "PAWL_MODEL_KEYS is a JSON object"),
        ({"PAWL_MODEL_KEYS": json.dumps([SECRET])}, "PAWL_MODEL_KEYS is a JSON object"),
        ({"PAWL_MODEL_KEYS": json.dumps({ADDRESS: [SECRET]})}, "PAWL_MODEL_KEYS is a JSON object"),
        ({"PAWL_MODEL_KEYS": json.dumps({ADDRESS: ""})}, "PAWL_MODEL_KEYS is a JSON object"),
        ({"PAWL_MODEL_KEYS": "[" * 100_000}, "PAWL_MODEL_KEYS is a JSON object"),
        # A provider's own key has a variable of its own.
        ({"PAWL_MODEL_KEYS": json.dumps({"anthropic": SECRET})}, "PAWL_MODEL_KEYS is a JSON object"),
        ({"PAWL_COMMAND_ENV": "A B"}, "names of variables"),
        ({"PAWL_COMMAND_ENV": "KEY=value"}, "names of variables"),
        *(
            ({"PAWL_COMMAND_ENV": name, name: SECRET}, f"names {name}, which no coding agent may have")
            for name in (
                "GITHUB_TOKEN",
                "GH_TOKEN",
                "github_token",
                "PAWL_PRIVATE_KEY",
                "ACTIONS_RUNTIME_TOKEN",
                "SSH_AUTH_SOCK",
                "GIT_ASKPASS",
                "GIT_SSH_COMMAND",
            )
        ),
    ],
)
def test_what_cannot_be_used_is_named_without_its_value(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_means(environment)
    assert said in str(error.value)
    assert SECRET not in str(error.value)


def test_a_key_does_not_show() -> None:
    means = read_means({"OPENAI_API_KEY": SECRET, "PAWL_COMMAND_ENV": "OPENAI_API_KEY"})
    assert means.command_environment == {"OPENAI_API_KEY": SECRET}
    assert SECRET not in repr(means)
