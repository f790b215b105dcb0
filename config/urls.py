"""Every HTTP route."""

from django.contrib import admin
from django.urls import include, path

from config import api, health

handler404 = api.not_found

urlpatterns = [
    path("health", health.health, name="health"),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("api/v1/", include("config.api")),
    path("api/v1/", include("calls.urls")),
    path("docs", api.docs, name="docs"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("tenants.urls")),
    path("", include("dashboard.urls")),
    path("admin/", admin.site.urls),
]
