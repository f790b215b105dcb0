"""One request to a carrier's REST API: its answer, or why there is none."""

from __future__ import annotations

from typing import Any

import httpx
import orjson

from agents.brain.errors import NetworkFailure, ProviderDown, ProviderTimeout
from calls.providers.carriers.port import NotReached


async def ask(
    name: str, client: httpx.AsyncClient, method: str, url: str, **request: Any
) -> httpx.Response:
    """Raises NotReached where the request cannot have arrived, else ProviderTimeout and
    NetworkFailure.
    """
    try:
        return await client.request(method, url, **request)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise NotReached(name, str(error)[:300] or type(error).__name__) from error
    except httpx.TimeoutException as error:
        raise ProviderTimeout(name, f"no answer ({type(error).__name__})") from error
    except httpx.HTTPError as error:
        raise NetworkFailure(name, str(error)[:300] or type(error).__name__) from error


def content_of(name: str, answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer; empty for one without content. Raises ProviderDown."""
    if answer.status_code == httpx.codes.NO_CONTENT:
        return {}
    try:
        content = orjson.loads(answer.content)
    except orjson.JSONDecodeError as error:
        raise ProviderDown(name, f"answered no JSON: {error}") from None
    if not isinstance(content, dict):
        raise ProviderDown(name, f"answered a JSON {type(content).__name__}, not an object")
    return content
