"""The circuit breaker, on a clock that the test moves."""

import pytest

from agents.brain.breaker import CircuitBreaker
from agents.brain.errors import BadKey, ProviderError, QuotaExceeded


class Watch:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def breaker(watch):
    return CircuitBreaker("groq", failures=3, cooldown=30.0, clock=watch)


def trip(breaker):
    for _ in range(3):
        breaker.failed()


def test_opens_at_the_third_failure_in_a_row(breaker):
    breaker.failed()
    breaker.failed()
    assert (breaker.state, breaker.allow()) == ("closed", True)
    breaker.failed()
    assert (breaker.state, breaker.allow()) == ("open", False)


def test_a_success_between_failures_starts_the_count_again(breaker):
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    assert breaker.state == "closed"


def test_half_open_lets_exactly_one_trial_through(breaker, watch):
    trip(breaker)
    watch.now += 30.0
    assert breaker.state == "half_open"
    assert [breaker.allow(), breaker.allow()] == [True, False]


def test_a_trial_that_succeeds_closes_and_one_that_fails_opens_again(breaker, watch):
    trip(breaker)
    watch.now += 30.0
    breaker.allow()
    breaker.failed()
    assert breaker.state == "open"
    watch.now += 30.0
    breaker.allow()
    breaker.succeeded()
    assert breaker.state == "closed"


def test_a_trial_that_never_reports_back_does_not_block_the_provider_for_ever(breaker, watch):
    trip(breaker)
    watch.now += 30.0
    assert breaker.allow()
    watch.now += 30.0
    assert breaker.allow()


def test_retry_after_opens_at_once_and_for_that_long(breaker, watch):
    breaker.failed(retry_after=7.5)
    assert breaker.state == "open"
    watch.now += 7.4
    assert not breaker.allow()
    watch.now += 0.2
    assert breaker.allow()


def test_a_limit_under_one_is_refused():
    with pytest.raises(ValueError, match="failures is 0; it must be at least 1"):
        CircuitBreaker("groq", failures=0)


def test_errors_name_their_provider_and_carry_the_wait():
    error = QuotaExceeded("groq", "too many tokens", retry_after=12.0)
    assert isinstance(error, ProviderError)
    assert (str(error), error.code) == ("groq: too many tokens", "QuotaExceeded")
    assert error.retry_after == 12.0
    assert BadKey("azure", "the key was refused").provider == "azure"
    assert str(BadKey("azure", "\x1f\x8b\x00\x00")) == "azure: \x1f\x8b"  # a proxy's bytes
