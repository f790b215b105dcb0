"""The sound of a call."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.base import TenantForeignKey, TenantModel


class Recording(TenantModel):
    """A WAV file; ours has two channels: the caller left, the agent right.

    A carrier's own recordings are fetched as soon as it tells of them, since their addresses
    expire; `carrier_id` is its name for one. They go on after a hand-over to a person.
    """

    class State(models.TextChoices):
        RECORDING = "recording", _("Recording")
        READY = "ready", _("Ready")
        MISSING = "missing", _("Missing")

    class Source(models.TextChoices):
        OURSELVES = "ourselves", _("Ourselves")
        CARRIER = "carrier", _("The carrier")

    call = TenantForeignKey(
        "calls.Call", on_delete=models.PROTECT, related_name="recordings", verbose_name=_("call")
    )
    source = models.CharField(
        _("made by"), max_length=16, choices=Source.choices, default=Source.OURSELVES
    )
    carrier_id = models.CharField(_("carrier's id"), max_length=200, blank=True)
    path = models.CharField(
        _("path"), max_length=200, help_text=_("Inside the folder of recordings; never public")
    )
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.RECORDING
    )
    sample_rate = models.PositiveIntegerField(_("sample rate (Hz)"))
    channels = models.PositiveSmallIntegerField(_("channels"), default=2)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), null=True, blank=True)
    size_bytes = models.PositiveBigIntegerField(_("size (bytes)"), null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("recording")
        verbose_name_plural = _("recordings")
        ordering = ["-source", "-id"]  # ours first
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "call"],
                condition=models.Q(source="ourselves"),
                name="calls_recording_one_per_call",
            ),
            models.UniqueConstraint(
                fields=["tenant", "call", "carrier_id"],
                condition=models.Q(source="carrier"),
                name="calls_recording_once_per_carrier_id",
            ),
            models.UniqueConstraint(fields=["tenant", "path"], name="calls_recording_path"),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "updated_at"],
                condition=models.Q(state="recording"),
                name="calls_recording_unfinished",
            ),
        ]

    def __str__(self) -> str:
        return self.path
