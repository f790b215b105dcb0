"""Logging in: by e-mail, with a limit on guesses and a second factor for who wants one."""

from __future__ import annotations

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import hotp_value, yield_hotp_counters_from_time
from django.core import mail
from django.test import Client

from tenants.accounts import attempted_login
from tenants.models import User
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


def try_login(client, email, password=PASSWORD, **more):
    return client.post(LOGIN, {"login": email, "password": password}, **more)


def is_logged_in(client) -> bool:
    return "_auth_user_id" in client.session


@pytest.mark.parametrize("spelling", [str, str.upper, lambda email: f" {email} "])
def test_one_logs_in_by_e_mail_in_any_spelling(client, staff, spelling):
    response = try_login(client, spelling(staff.email))
    assert (response.status_code, response.url) == (302, "/")
    assert is_logged_in(client)


def test_a_wrong_password_and_an_unknown_address_sound_the_same(client, staff):
    wrong = try_login(client, staff.email, "wrong")
    unknown = try_login(client, "nobody@example.org", "wrong")
    assert wrong.status_code == unknown.status_code == 200
    assert wrong.context["form"].errors == unknown.context["form"].errors
    assert not is_logged_in(client)


def test_a_deactivated_person_cannot_log_in(client, staff):
    staff.is_active = False
    staff.save()
    try_login(client, staff.email)
    assert not is_logged_in(client)


def test_guessing_locks_the_account_for_that_address_with_a_clear_page(client, staff, owner):
    answers = [try_login(client, staff.email.upper(), f"guess{n}").status_code for n in range(5)]
    assert answers == [200, 200, 200, 200, 429]
    locked = try_login(client, staff.email)
    assert locked.status_code == 429
    assert "account/locked_out.html" in [template.name for template in locked.templates]
    assert not is_logged_in(client)
    assert try_login(client, owner.email).status_code == 302


def test_a_locked_person_can_come_in_from_elsewhere(client, staff):
    for n in range(6):
        try_login(client, staff.email, f"guess{n}")
    assert try_login(Client(), staff.email, REMOTE_ADDR="192.0.2.7").status_code == 302


def test_a_forged_forwarding_header_escapes_no_lock(client, staff):
    for n in range(6):
        answer = try_login(client, staff.email, f"g{n}", headers={"X-Forwarded-For": f"1.1.1.{n}"})
    assert answer.status_code == 429


def test_getting_it_right_forgets_the_wrong_guesses(client, staff):
    for _round in range(2):
        for n in range(4):
            assert try_login(client, staff.email, f"guess{n}").status_code == 200
        assert try_login(client, staff.email).status_code == 302
        client.logout()


def test_nobody_signs_up_by_themselves(client):
    form = {"email": "new@example.org", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", form)
    assert not User.objects.filter(email="new@example.org").exists()


def test_a_forgotten_password_is_reset_by_mail(client, staff):
    client.post("/accounts/password/reset/", {"email": staff.email})
    (letter,) = mail.outbox
    (link,) = re.findall(r"http://testserver(/accounts/password/reset/key/\S+)", letter.body)
    form = client.get(link, follow=True).redirect_chain[-1][0]
    new = "an entirely new password"
    client.post(form, {"password1": new, "password2": new})
    client.logout()
    assert try_login(client, staff.email, new).status_code == 302


def test_a_reset_for_an_unknown_address_tells_nothing_apart(client, staff):
    known = client.post("/accounts/password/reset/", {"email": staff.email})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.org"})
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)


@pytest.fixture
def seed(client, staff):
    """A second factor, set up through the pages as a person would; its TOTP seed."""
    try_login(client, staff.email)
    asked = client.get("/accounts/2fa/totp/activate/")
    assert asked.url.startswith("/accounts/reauthenticate/")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = client.get("/accounts/2fa/totp/activate/")
    secret = page.context["form"].secret
    code = hotp_value(secret, next(yield_hotp_counters_from_time()))
    done = client.post("/accounts/2fa/totp/activate/", {"code": f"{code:06d}"})
    assert done.status_code == 302
    client.logout()
    return secret


def test_a_second_factor_is_asked_for_once_it_is_set_up(client, staff, seed):
    asked = try_login(client, staff.email)
    assert asked.url == "/accounts/2fa/authenticate/"
    assert not is_logged_in(client)
    wrong = client.post(asked.url, {"code": "000000"})
    assert wrong.status_code == 200
    assert not is_logged_in(client)
    totp = Authenticator.objects.get(user=staff, type=Authenticator.Type.TOTP)
    recovery = Authenticator.objects.get(user=staff, type=Authenticator.Type.RECOVERY_CODES)
    (code, *_rest) = recovery.wrap().get_unused_codes()
    assert client.post(asked.url, {"code": code}).status_code == 302
    assert is_logged_in(client)
    assert totp.data["secret"] != seed


def test_seeds_and_recovery_codes_are_stored_encrypted(staff, seed, settings):
    totp = Authenticator.objects.get(user=staff, type=Authenticator.Type.TOTP)
    assert seed not in str(totp.data)
    counter = next(yield_hotp_counters_from_time())
    assert totp.wrap().validate_code(f"{hotp_value(seed, counter + 0):06d}") in {True, False}
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new key, with the old one kept as a fallback"
    from allauth.mfa.adapter import get_adapter

    assert get_adapter().decrypt(totp.data["secret"]) == seed


def test_the_back_office_has_the_same_door(client, operator, staff):
    response = client.get("/admin/")
    assert response.status_code == 302
    login = client.get(response.url)
    assert login.url.startswith("/accounts/login/?next=")
    client.post("/admin/login/", {"username": operator.email, "password": PASSWORD})
    assert not is_logged_in(client)
    answer = client.post(login.url, {"login": operator.email, "password": PASSWORD})
    assert answer.url.startswith("/admin/")
    assert client.get("/admin/").status_code == 200


def test_cookies_are_out_of_the_pages_reach(client, staff, settings):
    try_login(client, staff.email)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


@pytest.mark.parametrize(
    ("credentials", "form", "name"),
    [
        ({"email": " A@B.example "}, {}, "a@b.example"),
        ({"username": "A@b.example"}, {}, "a@b.example"),
        (None, {"login": "A@b.example"}, "a@b.example"),
        ({}, {}, ""),
    ],
)
def test_a_guessed_name_is_counted_in_one_spelling(rf, credentials, form, name):
    assert attempted_login(rf.post(LOGIN, form), credentials) == name


@pytest.mark.parametrize("address", ["Ana@Example.ORG", "ana@example.org"])
def test_an_address_is_kept_in_lower_case(address):
    User.objects.create_user(address, PASSWORD)
    assert User.objects.get_by_natural_key("ANA@example.org").email == "ana@example.org"


def test_a_person_has_a_name_to_be_called_by():
    assert User(email="ana@example.org").get_short_name() == "ana"
    assert User(email="ana@example.org").get_full_name() == "ana@example.org"
    assert User(email="a@b.c", name="Ana García").get_short_name() == "Ana"
