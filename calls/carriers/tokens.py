"""Signed tokens that open a media socket: one call each, once, and not for long.

A token names a call by its public id. That it opens one socket only is not the token's doing:
a stream's token says which of the call's streams it opens, and taking it counts that one in the
call's row; a browser's creates the row. The database lets either happen once. Neither Redis nor
a process has to remember it. A page's token to resume opens any number of sockets, each in place
of the one before, while its call is live.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.core import signing

_STREAM_SALT = "calls.stream-token"
_WIDGET_SALT = "calls.widget-token"
_RESUME_SALT = "calls.resume-token"
STREAM_SECONDS = 240  # beyond any order to call somebody, and any ringing
WIDGET_SECONDS = 600
RESUME_SECONDS = 24 * 3600  # beyond any call: what it opens is gone when the call is over


class BadToken(Exception):
    """A token that is forged, too old or for something else."""


@dataclass(frozen=True, slots=True)
class StreamClaim:
    """What a stream's token allows: to be the media stream of this call after so many others."""

    call: uuid.UUID
    after: int


def stream_token(call_id: uuid.UUID, after: int = 0) -> str:
    """The token with which the carrier opens the call's media stream, the first or a later one."""
    return signing.dumps([call_id.hex, after], salt=_STREAM_SALT)


def read_stream_token(token: str, max_age: int = STREAM_SECONDS) -> StreamClaim:
    """What the token allows. Raises BadToken."""
    claim = _load(token, _STREAM_SALT, max_age)
    if not isinstance(claim, list) or len(claim) != 2 or not isinstance(claim[1], int):
        raise BadToken("the token names no stream of a call")
    return StreamClaim(call=_uuid(claim[0]), after=claim[1])


def resume_token(call_id: uuid.UUID) -> str:
    """The token with which a page comes back to its own call, on another socket."""
    return signing.dumps(call_id.hex, salt=_RESUME_SALT)


def read_resume_token(token: str, max_age: int = RESUME_SECONDS) -> uuid.UUID:
    """The public id of the token's call. Raises BadToken."""
    return _uuid(_load(token, _RESUME_SALT, max_age))


@dataclass(frozen=True, slots=True)
class WidgetClaim:
    """What a widget token allows: one call with this agent, under this public id."""

    agent: uuid.UUID
    call: uuid.UUID


def widget_token(agent_id: uuid.UUID) -> str:
    """A token with which anybody may call this agent from a page, once."""
    return signing.dumps([agent_id.hex, uuid.uuid4().hex], salt=_WIDGET_SALT)


def read_widget_token(token: str, max_age: int = WIDGET_SECONDS) -> WidgetClaim:
    """What the token allows. Raises BadToken."""
    claim = _load(token, _WIDGET_SALT, max_age)
    if not isinstance(claim, list) or len(claim) != 2:
        raise BadToken("the token holds no agent and call")
    return WidgetClaim(agent=_uuid(claim[0]), call=_uuid(claim[1]))


def _load(token: str, salt: str, max_age: int) -> object:
    try:
        return signing.loads(token, salt=salt, max_age=max_age)
    except signing.SignatureExpired:
        raise BadToken(f"the token is older than {max_age} s") from None
    except (signing.BadSignature, ValueError):
        raise BadToken("the token was not signed here") from None


def _uuid(value: object) -> uuid.UUID:
    try:
        return uuid.UUID(hex=str(value))
    except ValueError:
        raise BadToken("the token names no call") from None
