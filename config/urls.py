"""Every HTTP route."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("tenants.urls")),
    path("admin/", admin.site.urls),
]
