"""Asks carriers who an account is there: the "check connection" of the back office."""

from __future__ import annotations

from pydantic import ValidationError

from agents.brain.errors import ProviderError
from calls.carriers import dispatch
from calls.providers.carriers.port import Checked
from calls.providers.carriers.registry import carrier
from calls.providers.carriers.sentences import _
from calls.services.accounts import account_checked
from calls.wording import faults_in
from tenants.db import run_in_tenant
from tenants.sealing import CannotUnseal


async def check(tenant_id: int, account_id: int) -> None:
    """Ask, and note the answer with the account."""
    found = await _ask(tenant_id, account_id)
    await run_in_tenant(tenant_id, account_checked, account_id=account_id, found=found)


async def _ask(tenant_id: int, account_id: int) -> Checked:
    try:
        account = await run_in_tenant(tenant_id, dispatch.stored_account, account_id)
        api = dispatch.connect(account)
    except CannotUnseal:
        return Checked("", (_("The stored keys cannot be read: enter all of them again."),))
    except ValidationError as error:
        return Checked("", tuple(_unfit(why) for why in faults_in(error).values()))
    try:
        return await api.check()
    except ProviderError as error:  # whatever is not the account's fault
        title = carrier(account.carrier).title
        return Checked("", (_away(title, error.message),))
    finally:
        await api.aclose()


def _unfit(why: str) -> str:
    return _("The stored keys cannot be used, enter them again: %(why)s", why=why)


def _away(title: str, why: str) -> str:
    return _("%(carrier)s cannot be asked at the moment: %(why)s", carrier=title, why=why)
