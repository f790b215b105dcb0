"""One endless HTTP exchange: what a PBX may send, in one piece or byte by byte, and its end."""

from __future__ import annotations

import asyncio

import pytest

from calls.providers.carriers.threecx.wire import Exchange

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Wire(asyncio.Transport):
    """The socket's other side, and what the exchange told."""

    def __init__(self, method: str = "GET") -> None:
        super().__init__()
        self.sent = b""
        self.is_closed = False
        self.told: list[object] = []
        self.exchange = Exchange(
            on_response=self.told.append,
            on_data=self.told.append,
            on_over=lambda why: self.told.append(("over", why)),
            on_writable=self.told.append,
        )
        self.exchange.connection_made(self)
        body = [("Transfer-Encoding", "chunked")] if method == "POST" else []
        self.exchange.request(method, "http://pbx:5001/callcontrol/ai?x=1", body)

    def write(self, data) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.is_closed = True


def test_a_get_is_whole_at_once():
    wire = Wire()
    assert wire.sent == b"GET /callcontrol/ai?x=1 HTTP/1.1\r\nHost: pbx:5001\r\n\r\n"


def test_a_post_is_written_in_real_chunks_and_ended():
    wire = Wire("POST")
    wire.sent = b""
    wire.exchange.write(b"\1\2")
    wire.exchange.write(b"\3" * 320)
    wire.exchange.finish()
    assert wire.sent == b"2\r\n\1\2\r\n140\r\n" + b"\3" * 320 + b"\r\n0\r\n\r\n"
    assert wire.is_closed
    assert wire.told == []
    wire.exchange.write(b"late")
    wire.exchange.finish()
    assert wire.sent.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_body_is_given_as_it_comes_and_ends_in_order(size):
    wire = Wire()
    data = HEAD + b"5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"
    for at in range(0, len(data), size):
        wire.exchange.data_received(data[at : at + size])
    status, *pieces, end = wire.told
    assert (status, end) == (200, ("over", ""))
    assert b"".join(pieces) == b"helloyou"


def test_a_body_cut_in_the_middle_is_no_proper_end():
    wire = Wire()
    wire.exchange.data_received(HEAD + b"5\r\nhel")
    wire.exchange.eof_received()
    assert wire.told[:2] == [200, b"hel"]
    assert wire.told[2] != ("over", "")
    wire.exchange.connection_lost(None)
    assert len(wire.told) == 3


def test_a_lost_connection_is_told_once():
    wire = Wire("POST")
    wire.exchange.connection_lost(ConnectionResetError("reset"))
    wire.exchange.connection_lost(None)
    assert wire.told == [("over", "the connection broke: reset")]


def test_an_answer_in_the_middle_of_a_post_is_known_at_once():
    wire = Wire("POST")
    wire.exchange.write(b"\1\2")
    wire.exchange.data_received(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    assert wire.told == [403, ("over", "")]


def test_what_is_no_http_ends_the_exchange():
    wire = Wire()
    wire.exchange.data_received(b"\x16\x03\x01 what?\r\n\r\n")
    ((kind, why),) = wire.told
    assert (kind, wire.is_closed) == ("over", True)
    assert "no HTTP" in why


def test_a_full_socket_is_told():
    wire = Wire("POST")
    wire.exchange.pause_writing()
    wire.exchange.resume_writing()
    assert wire.told == [False, True]
