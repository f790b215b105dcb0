"""The simulated caller by Telnyx: answered, refused, or told why there was no call."""

from __future__ import annotations

import uuid

import pytest

from calls.providers.carriers.signals import Ended, Ringing
from calls.providers.carriers.telnyx.simulated import private_key_of
from calls.simulator.line import FarEnd
from calls.simulator.telnyx import TelnyxCloud
from calls.simulator.telnyx_call import NotAnswered, on_the_phone, ring
from tests.providers.carriers.telnyx_office import an_office


async def test_caller_is_put_through_and_hangs_up():
    async with an_office() as (office, cloud):
        leg, stream = await ring(cloud, to="+1", caller="+52")
        far_end: FarEnd = stream
        await far_end.send_frame(bytes(320))
        await stream.stop()
        assert (await office.told(Ended, leg.id)).detail == "normal_clearing, caller"


async def test_caller_who_is_refused_learns_it():
    async with an_office() as (office, cloud):
        office.answers = False

        async def refuse(scope, body):
            status = await taken(scope, body)
            for signal in office.signals:
                if isinstance(signal, Ringing):
                    await office.api.refuse(signal.leg, uuid.UUID(int=1), busy=True)
            return status

        taken, office.take = office.take, refuse
        with pytest.raises(NotAnswered, match=r"call\.hangup: user_busy"):
            await ring(cloud, to="+1", caller="+52")


async def test_server_that_is_not_there_is_named():
    cloud = TelnyxCloud("http://127.0.0.1:1")
    with pytest.raises(NotAnswered, match="could not be reached"):
        async with on_the_phone(cloud, to="+1", caller="+52", port=0):
            pass


async def test_server_that_does_not_believe_us_is_named():
    async with an_office() as (office, cloud):
        office.credentials = office.credentials.model_copy(update={"public_key": "A" * 43 + "="})
        with pytest.raises(NotAnswered, match=r"answered 403 to call\.initiated"):
            await ring(cloud, to="+1", caller="+52")


def test_key_follows_from_the_installations_secret():
    same, other = private_key_of("s").public_key(), private_key_of("t").public_key()
    assert same.public_bytes_raw() == private_key_of("s").public_key().public_bytes_raw()
    assert same.public_bytes_raw() != other.public_bytes_raw()
