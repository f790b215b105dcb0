"""Routes of the staff portal."""

from django.urls import path

from dashboard import views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("test-call/", views.test_call, name="test_call"),
    path("calls/latest/", views.latest_calls, name="latest_calls"),
    path("calls/<uuid:public_id>/", views.call, name="call"),
]
