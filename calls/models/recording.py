"""The sound of a call."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantForeignKey, TenantModel


class Recording(TenantModel):
    """A two-channel WAV file: the caller left, the agent right."""

    class State(models.TextChoices):
        RECORDING = "recording", _("Recording")
        READY = "ready", _("Ready")
        MISSING = "missing", _("Missing")

    call = TenantForeignKey(
        "calls.Call", on_delete=models.PROTECT, related_name="recordings", verbose_name=_("call")
    )
    path = models.CharField(
        _("path"), max_length=200, help_text=_("Inside the folder of recordings; never public")
    )
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.RECORDING
    )
    sample_rate = models.PositiveIntegerField(_("sample rate (Hz)"))
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), null=True, blank=True)
    size_bytes = models.PositiveBigIntegerField(_("size (bytes)"), null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("recording")
        verbose_name_plural = _("recordings")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "call"], name="calls_recording_one_per_call"),
            models.UniqueConstraint(fields=["tenant", "path"], name="calls_recording_path"),
        ]

    def __str__(self) -> str:
        return self.path
