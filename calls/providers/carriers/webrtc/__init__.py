"""Calls from a page over WebRTC: Opus over SRTP, with the page's own socket for signalling."""
