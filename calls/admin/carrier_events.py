"""What carriers told, in the back office: to be read."""

from __future__ import annotations

from django.contrib import admin
from unfold.admin import ModelAdmin

from calls.admin.read_only import ReadOnly
from calls.models import CarrierEvent, StrayEvent
from tenants.admin import TenantModelAdmin


@admin.register(CarrierEvent)
class CarrierEventAdmin(ReadOnly, TenantModelAdmin):
    """Every event of the selected tenant's legs, word for word."""

    list_display = ("received_at", "carrier", "kind", "leg", "applied_at", "fault")
    list_filter = ("carrier", "kind")
    search_fields = ("leg", "session", "event_id")
    date_hierarchy = "received_at"


@admin.register(StrayEvent)
class StrayEventAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """Events that led to no tenant; kept for a month."""

    list_display = ("received_at", "carrier", "kind", "event_id")
    list_filter = ("carrier", "kind")
    search_fields = ("event_id",)
    date_hierarchy = "received_at"
