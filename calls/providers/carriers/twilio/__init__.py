"""Twilio: signed webhooks, TwiML and Media Streams."""
