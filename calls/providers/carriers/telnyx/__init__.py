"""Telnyx: Call Control v2, its signed webhooks and its media streaming."""
