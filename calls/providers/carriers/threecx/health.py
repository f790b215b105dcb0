"""What "check connection" says of a PBX, in words for whoever set it up."""

from __future__ import annotations

from agents.brain.errors import BadKey
from calls.providers.carriers.sentences import _
from calls.providers.carriers.threecx.credentials import ThreeCxCredentials
from calls.providers.carriers.threecx.entities import DnState
from calls.providers.carriers.threecx.rest import NotPermitted, NotThere, TlsFailure


def complaint(state: DnState) -> str:
    """What is wrong with the DN that we are; empty if nothing is."""
    if not state.is_route_point:
        return _(
            "%(dn)s is a %(kind)s and no route point: the client ID has to be the one under "
            "Integrations > API",
            dn=state.dn,
            kind=state.kind or _("DN of unknown kind"),
        )
    if not state.is_registered:
        return _(
            "The route point %(dn)s has no device: it can be called but not call.", dn=state.dn
        )
    return ""


def explained(error: Exception, credentials: ThreeCxCredentials) -> str:
    """Why there was no answer, and what to do about it."""
    client_id, host = credentials.client_id, credentials.host
    match error:
        case NotPermitted():
            return _(
                "3CX does not permit call control: it needs an Enterprise (or AI) licence of 8SC "
                "or more, and “3CX Call Control API access” ticked for the client."
            )
        case BadKey():
            return _(
                "3CX refuses the client ID %(id)s with this API key. It shows a key once: make a "
                "new one if it is lost.",
                id=client_id,
            )
        case NotThere():
            return _(
                "There is no DN %(dn)s that this client may see, or %(host)s is no 3CX of "
                "version 20.",
                dn=client_id,
                host=host,
            )
        case TlsFailure():
            return _(
                "The connection is not safe: %(why)s. Use the name in the certificate.", why=error
            )
        case _other:
            return _(
                "%(host)s cannot be reached (%(why)s): is the port right (often 5001), and does a "
                "firewall let us in?",
                host=host,
                why=error,
            )
