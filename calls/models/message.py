"""Written messages, from and to our numbers."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from calls.models.call import Channel, Direction
from calls.providers.carriers.signals import MessageKind
from tenants.models.base import TenantForeignKey, TenantModel


class Message(TenantModel):
    """One SMS or WhatsApp message.

    One of ours is stored before its carrier is asked to send it; its state only ever goes on
    (`calls.services.message_orders`). `party` is who wrote or is written to: E.164, or what the
    carrier says where that is no number (`AMAZON`, 12345). `at` is the carrier's clock for what
    came, and ours for what goes.
    """

    class Kind(models.TextChoices):
        """What carries it."""

        SMS = MessageKind.SMS.value, "SMS"
        WHATSAPP = MessageKind.WHATSAPP.value, "WhatsApp"

    class State(models.TextChoices):
        """How far it has come.

        `sent`: its carrier has it. `unknown`: it was given to the carrier, whose answer got lost.
        """

        QUEUED = "queued", _("Queued")
        UNKNOWN = "unknown", _("Unknown")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        DELIVERED = "delivered", _("Delivered")
        READ = "read", _("Read")
        RECEIVED = "received", _("Received")

    direction = models.CharField(_("direction"), max_length=16, choices=Direction.choices)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    carrier = models.CharField(_("carrier"), max_length=16, choices=Channel.choices)
    account = TenantForeignKey(
        "calls.CarrierAccount",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="messages",
        verbose_name=_("carrier account"),
        help_text=_("Empty: the installation's own account"),
    )
    number = TenantForeignKey(
        "calls.Number",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="messages",
        verbose_name=_("number"),
        help_text=_("Empty: not among the tenant's numbers"),
    )
    own_number = models.CharField(_("our number"), max_length=100)
    party = models.CharField(_("with"), max_length=100)
    party_name = models.CharField(_("name they go by"), max_length=200, blank=True)
    text = models.TextField(_("text"), blank=True)
    media = models.JSONField(
        _("media"), default=list, blank=True, help_text=_("Addresses of what is attached")
    )
    template = models.CharField(_("template"), max_length=200, blank=True)
    template_values = models.JSONField(_("template's values"), default=dict, blank=True)

    carrier_id = models.CharField(_("carrier's id"), max_length=200, blank=True)
    state = models.CharField(_("state"), max_length=16, choices=State.choices)
    error = models.CharField(_("error"), max_length=300, blank=True)
    at = models.DateTimeField(_("at"))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("to be sent at"), null=True, blank=True)
    claimed_at = models.DateTimeField(_("given to the carrier at"), null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)
    failed_at = models.DateTimeField(_("failed at"), null=True, blank=True)
    key = models.CharField(_("idempotency key"), max_length=200, blank=True)
    digest = models.CharField(_("digest"), max_length=64, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("written message")
        verbose_name_plural = _("written messages")
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "carrier", "carrier_id"],
                condition=~Q(carrier_id=""),
                name="calls_message_once_per_carrier_id",
            ),
            models.UniqueConstraint(
                fields=["tenant", "key"], condition=~Q(key=""), name="calls_message_once_per_key"
            ),
            models.CheckConstraint(
                condition=Q(direction=Direction.INBOUND, state="received")
                | Q(direction=Direction.OUTBOUND) & ~Q(state="received"),
                name="calls_message_received_if_inbound",
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-at"], name="calls_message_latest"),
            models.Index(fields=["tenant", "party", "-at"], name="calls_message_by_party"),
            models.Index(
                fields=["tenant", "due_at"],
                condition=Q(state="queued"),
                name="calls_message_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.party}"


class MessageFile(TenantModel):
    """Something that came with a message; `place` is its address among the message's `media`.

    It is fetched from the carrier as soon as the message has come, if it is of a kind and a size
    that are taken (`calls.carriers.message_files`).
    """

    class State(models.TextChoices):
        """Whether it is here."""

        WAITING = "waiting", _("Being fetched")
        READY = "ready", _("Ready")
        MISSING = "missing", _("Missing")

    message = TenantForeignKey(
        "calls.Message", on_delete=models.PROTECT, related_name="files", verbose_name=_("message")
    )
    place = models.PositiveSmallIntegerField(_("place"))
    state = models.CharField(
        _("state"), max_length=16, choices=State.choices, default=State.WAITING
    )
    content_type = models.CharField(_("content type"), max_length=100, blank=True)
    size_bytes = models.PositiveBigIntegerField(_("size (bytes)"), null=True, blank=True)
    fault = models.CharField(_("why it is missing"), max_length=300, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("file of a message")
        verbose_name_plural = _("files of messages")
        ordering = ["message_id", "place"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "message", "place"], name="calls_message_file_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "created_at"],
                condition=Q(state="waiting"),
                name="calls_message_file_waiting",
            )
        ]

    def __str__(self) -> str:
        return f"{self.message} {self.place}"
