"""Tokens open what they were made for, and nothing else."""

import uuid

import pytest
from django.core import signing

from calls.carriers.tokens import (
    BadToken,
    StreamClaim,
    read_stream_token,
    read_widget_token,
    stream_token,
    widget_token,
)


def test_stream_token_leads_to_its_call():
    call = uuid.uuid4()
    assert read_stream_token(stream_token(call)) == StreamClaim(call, after=0)
    assert read_stream_token(stream_token(call, 2)) == StreamClaim(call, after=2)


def test_stream_token_fits_into_a_twilio_parameter():
    assert len("token") + len(stream_token(uuid.uuid4())) < 500


def test_forged_stream_token_is_refused():
    token = stream_token(uuid.uuid4())
    with pytest.raises(BadToken, match="not signed here"):
        read_stream_token(token[:-2] + ("aa" if token[-2:] != "aa" else "bb"))


@pytest.mark.parametrize("token", ["", "x", ":::", "a" * 10_000, "\x00", "ñ:é:ü"])
def test_garbage_is_no_token(token):
    with pytest.raises(BadToken):
        read_stream_token(token)


def test_old_stream_token_is_refused():
    with pytest.raises(BadToken, match="older than"):
        read_stream_token(stream_token(uuid.uuid4()), max_age=-1)


def test_widget_token_opens_no_stream():
    with pytest.raises(BadToken):
        read_stream_token(widget_token(uuid.uuid4()))


def test_widget_token_names_its_agent_and_one_new_call():
    agent = uuid.uuid4()
    first, second = read_widget_token(widget_token(agent)), read_widget_token(widget_token(agent))
    assert first.agent == second.agent == agent
    assert first.call != second.call


def test_signed_nonsense_is_no_widget_token():
    with pytest.raises(BadToken, match="no agent and call"):
        read_widget_token(signing.dumps({"agent": 1}, salt="calls.widget-token"))
