"""The API's routes, and its description."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.utils.translation import gettext
from django.views.defaults import page_not_found
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.routers import SimpleRouter

from calls.api.campaigns import CampaignViewSet
from calls.api.do_not_call import DoNotCallViewSet
from calls.api.messages import MessageMediaView, MessageViewSet
from calls.api.notes import CallBackViewSet, TakenMessageViewSet
from calls.api.threecx import JournalView, LookupView, TemplateView
from calls.api.views import CallViewSet, OneRecordingView, RecordingView
from calls.api.widgets import WidgetTokenView

app_name = "api"

router = SimpleRouter(use_regex_path=False)
router.register("calls", CallViewSet, basename="call")
router.register("messages", MessageViewSet, basename="message")
router.register("taken-messages", TakenMessageViewSet, basename="taken-message")
router.register("call-backs", CallBackViewSet, basename="call-back")
router.register("campaigns", CampaignViewSet, basename="campaign")
router.register("do-not-call", DoNotCallViewSet, basename="do-not-call")

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("calls/<uuid:public_id>/recording/", RecordingView.as_view(), name="call-recording"),
    path(
        "calls/<uuid:public_id>/recordings/<uuid:recording>/",
        OneRecordingView.as_view(),
        name="call-one-recording",
    ),
    path(
        "messages/<uuid:public_id>/media/<int:place>/",
        MessageMediaView.as_view(),
        name="message-media",
    ),
    path("widget-tokens/", WidgetTokenView.as_view(), name="widget-tokens"),
    path("3cx/template", TemplateView.as_view(), name="threecx-template"),
    path("3cx/lookup", LookupView.as_view(), name="threecx-lookup"),
    path("3cx/journal", JournalView.as_view(), name="threecx-journal"),
    path("", include(router.urls)),
]


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A program that asked for what is not there reads JSON, a person a page."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": gettext("Not found.")}, status=404)
    return page_not_found(request, exception)


docs = SpectacularSwaggerView.as_view(url_name="api:schema")
