"""Connections to models: to which address, with which key, and nothing taken from the environment behind our back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pawl.core.config_parts import Agent
from pawl.meta.means import Means
from pawl.meta.proposer import NoProposal

if TYPE_CHECKING:
    from pydantic_ai.models import Model

ADDRESSES = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
VARIABLES = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
NEWER = (".openai.com", ".azure.com", "openrouter.ai")
"""Hosts that are told the size of an answer as ``max_completion_tokens``; all others as ``max_tokens``."""
LOCAL = ("127.0.0.1", "localhost", "::1")
"""Hosts that are this machine: no proxy lies between."""
UNUSED_KEY = "none"
"""What a server that wants no key is sent in its place: the clients insist on one."""


def split_model(agent: Agent) -> tuple[str, str]:
    """The provider and its model: ``anthropic:claude-x`` in two parts."""
    provider, _, name = (agent.model or "").partition(":")
    return provider, name


def key_for(agent: Agent, means: Means) -> str:
    """The key that goes to the address this agent asks.

    A key goes nowhere but to its provider's own address, or to the address for which whoever runs Pawl gave it.

    Raises:
        NoProposal: the address is not allowed, or its provider wants a key and there is none.
    """
    provider, _ = split_model(agent)
    if agent.base_url is not None:
        if agent.base_url not in means.addresses:
            raise NoProposal(
                f"agent.base_url is {agent.base_url}, which whoever runs Pawl has not allowed; they can, by adding it to "
                "PAWL_MODEL_ADDRESSES"
            )
        return means.keys.get(agent.base_url, UNUSED_KEY)
    key = means.keys.get(provider, "")
    if not key:
        raise NoProposal(
            f"there is no key for {agent.model}: whoever runs Pawl can set {VARIABLES[provider]}, or the loop can name "
            "a model of its own with agent.base_url"
        )
    return key


def connect(agent: Agent, means: Means, timeout: float) -> tuple[Model, Any]:
    """The model, and the HTTP client to close after use.

    Args:
        agent: which model.
        means: keys and addresses.
        timeout: seconds that one request may be silent.

    Raises:
        NoProposal: it cannot be asked; the text says what is missing.
    """
    key = key_for(agent, means)
    provider, name = split_model(agent)
    address = agent.base_url or ADDRESSES[provider]
    try:
        import httpx2
    except ImportError:
        raise NoProposal(
            "the proposer llm needs more packages; install them with: pip install '.[llm]' in a checkout of Pawl"
        ) from None
    # No redirect: the key goes to this address or nowhere. A proxy of the environment is for other machines than this one.
    host = urlsplit(address).hostname or ""
    local = host in LOCAL
    client = httpx2.AsyncClient(timeout=timeout, follow_redirects=False, trust_env=not local)
    model: Model
    if provider == "anthropic":
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider

        anthropic = AsyncAnthropic(
            api_key=key, auth_token=None, base_url=address, max_retries=0, http_client=client
        )
        model = AnthropicModel(name, provider=AnthropicProvider(anthropic_client=anthropic))
    else:
        from openai import AsyncOpenAI
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.profiles.openai import OpenAIModelProfile
        from pydantic_ai.providers.openai import OpenAIProvider

        openai = AsyncOpenAI(api_key=key, base_url=address, max_retries=0, http_client=client)
        # OpenAI's newest models want the newer field, and the servers of local ones do not know it.
        newer = host.endswith(NEWER)
        profile = OpenAIModelProfile(openai_chat_supports_max_completion_tokens=newer)
        model = OpenAIChatModel(name, provider=OpenAIProvider(openai_client=openai), profile=profile)
    return model, client
