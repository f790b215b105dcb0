"""Loads aiortc once, in good time: on the event loop that would stall every call."""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING

from calls.providers.carriers.webrtc.ice import IceOptions

if TYPE_CHECKING:
    from calls.providers.carriers.webrtc.peer import Peer

_PEER = "calls.providers.carriers.webrtc.peer"


def load() -> None:
    """Import what calls over WebRTC need. Blocks, so call it in a thread."""
    importlib.import_module(_PEER)


async def answering(ice: IceOptions, offer: object) -> tuple[Peer, str]:
    """A new connection for a page's offer, and our answer as SDP. Raises MediaFault."""
    await asyncio.to_thread(load)
    from calls.providers.carriers.webrtc import peer

    return await peer.answering(ice, offer)
