"""The paid client: sends a request with the key from the environment, and says plainly what failed.

The one module that knows the key. No exception, message or file that leaves it holds the key.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from roadworthy.errors import UserError
from roadworthy.settings import Endpoint

T = TypeVar("T")
FILTERED = "content_filter"
TRY = "endpoint try"
"""The name of the threads that wait for a server."""
UNSENT = (
    "ConnectError", "ConnectTimeout", "LocalProtocolError", "PoolTimeout", "ProxyError",
    "UnsupportedProtocol",
)  # fmt: skip
"""The HTTP library's names for a try that no server has seen."""


@dataclass(frozen=True)
class Reply:
    """What came back."""

    body: Any
    """The reply's JSON; None where it is none."""
    retries: int
    """Tries before this one."""
    lost: int = 0
    """Tries without an answer that the server may charge for all the same: those that took too
    long, broke off, or ended in HTTP 5xx."""
    filtered: bool = False
    """Whether the server would not let the model see the message."""
    problem: str = ""
    """Why there is no reply: what went wrong, where, and what to do, in one line; else empty."""


class _Tries(threading.local):
    """Of the call that this thread is making, so far."""

    made = 0
    lost = 0


class Client:
    """An OpenAI-compatible endpoint; a context manager that closes its connections."""

    def __init__(self, settings: Endpoint) -> None:
        """Take the key from the environment.

        Raises:
            UserError: the variable is not set, or holds what cannot be a key.
        """
        import openai  # only here and below: it takes a second that hardly any run needs

        self.settings, self._key = settings, _secret(settings.key_variable)
        self._tries = _Tries()
        self._client = openai.OpenAI(
            base_url=settings.base_url,
            api_key=self._key,
            max_retries=settings.retries,
            timeout=settings.timeout,
            http_client=_http_client(settings.timeout, self._tries),
        )

    def __enter__(self) -> Client:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, request: dict[str, Any]) -> Reply:
        """One call; the library itself tries again after 429, 5xx, timeouts and lost connections.

        Raises nothing that a server can cause: see ``Reply.problem``. So no exception that holds
        the request, and with it the key, is passed on.
        """
        import openai

        chat = self.settings.form == "chat"
        resource: Any = self._client.chat.completions if chat else self._client.decisions
        self._tries.made = self._tries.lost = 0
        filtered, problem, content = False, "", b""
        try:
            content = resource.with_raw_response.create(**request).http_response.content
        except openai.OpenAIError as error:
            # Some servers answer so where the model would refuse: no reason to stop.
            filtered = isinstance(error, openai.APIStatusError) and error.code == FILTERED
            if isinstance(error, openai.APIStatusError) and filtered:
                content = error.response.content
            else:
                problem = self._complaint(error)
        retries = max(self._tries.made - 1, 0)
        return Reply(_parsed(content), retries, self._tries.lost, filtered, problem)

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
                said = (
                    f"gave no whole answer within {own.timeout:g} s {tried}: raise timeout, or wait"
                )
            case openai.APIConnectionError() if type(error.__cause__).__name__ in UNSENT:
                said = f"cannot be reached {tried}: check base_url and the network"
            case openai.APIConnectionError():
                said = f"breaks off before its answer is whole {tried}: check the network, or wait"
            case openai.APIStatusError():
                about = " ".join(error.message.replace(self._key, "…").split())[:200]
                said = f"answers HTTP {error.status_code} ({about}): check the settings, or wait"
            case _:
                said = f"cannot be asked ({type(error).__name__}): check the settings"
        return f"baseline.endpoint: {own.base_url} {said}; what was answered so far is kept"


def _http_client(seconds: float, tries: _Tries) -> Any:  # noqa: ANN401 - the library's own kind
    """An HTTP client each try of which ends in time, and is counted.

    The library's own limit is on each read: a server that sends a byte now and then never meets it.
    """
    import httpx2  # openai's own; what it raises is what openai tries again after
    import openai

    class InTime(openai.DefaultHttpxClient):
        def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401
            tries.made += 1
            try:
                response = _in_time(lambda: super(InTime, self).send(request, **options), seconds)
            except TimeoutError:
                tries.lost += 1
                raise httpx2.ReadTimeout("no whole answer in time", request=request) from None
            except httpx2.RequestError as error:
                tries.lost += type(error).__name__ not in UNSENT
                raise
            tries.lost += response.status_code >= 500
            return response

    return InTime(timeout=seconds)


def _in_time(call: Callable[[], T], seconds: float) -> T:
    """What ``call`` returns or raises; a TimeoutError once it takes longer.

    A call that is given up ends with its connection, which closes with the client at the latest.
    """
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except Exception as error:
            result.set_exception(error)

    # A daemon: one that hangs must not keep the process from ending.
    threading.Thread(target=run, name=TRY, daemon=True).start()
    return result.result(seconds)


def _parsed(content: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Content as JSON, None if it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


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
