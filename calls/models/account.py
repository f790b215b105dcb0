"""A tenant's account at a carrier."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from calls.models.call import Channel
from tenants.models.base import TenantForeignKey, TenantModel
from tenants.sealing import SealedField, seal, unseal


class CarrierAccount(TenantModel):
    """Who we are at a carrier. Its keys are sealed; what is shown of them is `hint`.

    `external_id` is the carrier's own name for it (Twilio's AccountSid, Telnyx's connection id,
    3CX's client id with its address). The carrier's webhooks come to an address with our
    `public_id` of it, so that tenant and key are known before anything is read.
    """

    carrier = models.CharField(_("carrier"), max_length=16, choices=Channel.choices)
    label = models.CharField(_("label"), max_length=100, blank=True)
    external_id = models.CharField(_("the carrier's name for it"), max_length=200, editable=False)
    secrets = SealedField(_("keys"))
    hint = models.JSONField(_("keys, as far as they are shown"), default=dict, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    record_calls = models.BooleanField(
        _("have the carrier record"),
        default=False,
        help_text=_("Also what is said after the call was handed to a person"),
    )
    answers_as = TenantForeignKey(
        "calls.Number",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("answers as"),
        help_text=_(
            "At a PBX: a call that came by no number of ours, such as one from an extension, is "
            "answered as if this number were called"
        ),
    )
    calls_per_second = models.PositiveSmallIntegerField(
        _("calls placed per second"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_(
            "As agreed with the carrier. Empty: what it allows every account (Twilio: 1), or any "
            "number of them"
        ),
    )
    # Counts the processes that had this account's standing connection, one after the other:
    # what an earlier one still writes is refused.
    holder = models.PositiveBigIntegerField(default=0, editable=False)
    checked_at = models.DateTimeField(_("checked at"), null=True, editable=False)
    checked_name = models.CharField(
        _("name at the carrier"), max_length=200, blank=True, editable=False
    )
    problems = models.JSONField(_("problems found"), default=list, editable=False)
    refused_at = models.DateTimeField(_("webhook refused at"), null=True, editable=False)
    refused_why = models.CharField(
        _("why it was refused"), max_length=200, blank=True, editable=False
    )

    class Meta(TenantModel.Meta):
        verbose_name = _("carrier account")
        verbose_name_plural = _("carrier accounts")
        ordering = ["carrier", "label", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "carrier", "external_id"], name="calls_account_once"
            ),
            models.CheckConstraint(
                condition=models.Q(carrier__in=Channel.values)
                & ~models.Q(external_id="")
                & ~models.Q(carrier=Channel.BROWSER),
                name="calls_account_is_a_carriers",
            ),
            models.CheckConstraint(
                condition=models.Q(calls_per_second__isnull=True)
                | models.Q(calls_per_second__gte=1),
                name="calls_account_places_calls",
            ),
        ]
        indexes = [
            models.Index(
                fields=["carrier"],
                condition=models.Q(is_active=True),
                name="calls_account_by_carrier",
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_carrier_display()} {self.label or self.external_id}"

    def set_credentials(self, values: dict[str, str]) -> None:
        """Seal these; what was there before is gone. Needs the tenant, so claim it first."""
        self.claim_tenant()
        self.secrets = seal(values, tenant_id=self.tenant_id)

    def credentials(self) -> dict[str, str]:
        """The opened keys, for a connection about to be made. Raises CannotUnseal."""
        return unseal(self.secrets, tenant_id=self.tenant_id)
