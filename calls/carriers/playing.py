"""What carriers fetch from us to play it to callers: the same for everybody, and no secret."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from calls.carriers import hold_music

A_DAY = 24 * 3600


@require_safe
@cache_control(public=True, max_age=A_DAY)
async def hold(_request: HttpRequest) -> HttpResponse:
    """The music for callers who wait, as WAV."""
    return HttpResponse(hold_music.wav(), content_type="audio/wav")
