"""The paid client: sends a request with the key from the environment, and says plainly what failed.

The one module that knows the key. No exception, message or file that leaves it holds the key.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from roadworthy.errors import UserError
from roadworthy.settings import Endpoint

FILTERED = "content_filter"


@dataclass(frozen=True)
class Reply:
    """What came back."""

    body: Any
    """The reply's JSON; None where it is none."""
    retries: int
    """Tries before this one."""
    filtered: bool = False
    """Whether the server would not let the model see the message."""


class Client:
    """An OpenAI-compatible endpoint; a context manager that closes its connections."""

    def __init__(self, settings: Endpoint) -> None:
        """Take the key from the environment.

        Raises:
            UserError: the variable is not set, or holds what cannot be a key.
        """
        import openai  # only here and below: it takes a second that hardly any run needs

        self.settings, self._key = settings, _secret(settings.key_variable)
        self._client = openai.OpenAI(
            base_url=settings.base_url,
            api_key=self._key,
            timeout=settings.timeout,
            max_retries=settings.retries,
        )

    def __enter__(self) -> Client:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, request: dict[str, Any]) -> Reply:
        """One call; the library itself tries again after 429, 5xx, timeouts and lost connections.

        Raises:
            UserError: no reply.
        """
        import openai

        chat = self.settings.form == "chat"
        resource: Any = self._client.chat.completions if chat else self._client.decisions
        try:
            reply = resource.with_raw_response.create(**request)
        except openai.OpenAIError as error:
            # Some servers answer so where the model would refuse: no reason to stop.
            if getattr(error, "code", None) == FILTERED:
                return Reply(None, 0, filtered=True)
            message = self._complaint(error)
        else:
            try:
                body = json.loads(reply.http_response.content)
            except (ValueError, RecursionError):
                body = None
            return Reply(body, reply.retries_taken)
        # Outside the handler, so that it carries no exception along that holds the request.
        raise UserError(message)

    def _complaint(self, error: Exception) -> str:
        """What went wrong, where, and what to do, in one line."""
        import openai

        own = self.settings
        tried = f"after {own.retries} retries"
        match error:
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                said = f"refuses the key (HTTP {error.status_code}): check {own.key_variable}"
            case openai.NotFoundError():
                said = (
                    f"knows no model '{own.model}', or not the form {own.form} (HTTP 404): check "
                    f"model, form and base_url"
                )
            case openai.RateLimitError():
                said = f"still says too many requests (HTTP 429) {tried}: wait, or check your quota"
            case openai.APITimeoutError():
                said = f"gave no answer within {own.timeout:g} s {tried}: raise timeout, or wait"
            case openai.APIConnectionError():
                said = f"cannot be reached {tried}: check base_url and the network"
            case openai.APIStatusError():
                about = " ".join(error.message.replace(self._key, "…").split())[:200]
                said = f"answers HTTP {error.status_code} ({about}): check the settings, or wait"
            case _:
                said = f"cannot be asked ({type(error).__name__}): check the settings"
        return f"baseline.endpoint: {own.base_url} {said}; what was answered so far is kept"


def _secret(variable: str) -> str:
    """The key that an environment variable holds; a placeholder where no variable is named."""
    if not variable:
        return "none"
    found = os.environ.get(variable, "").strip()
    if not found:
        raise UserError(
            f"baseline.endpoint: the environment variable {variable} holds no key: set it, or set "
            f"key_variable to '' for a server that asks for none"
        )
    if not found.isascii() or not found.isprintable() or " " in found:
        raise UserError(
            f"baseline.endpoint: what {variable} holds cannot be a key: it has blanks or letters "
            f"that no key has"
        )
    return found
