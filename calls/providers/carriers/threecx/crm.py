"""The CRM side of a 3CX: the template an administrator uploads, and what it then asks of us.

The PBX looks a caller up by number and reports each call when it is over (threecx.md, 7). Pure:
whoever serves the two paths knows the tenant by the API key and does the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from calls.providers.carriers.signals import EndCause

LOOKUP_PATH, JOURNAL_PATH = "/3cx/lookup", "/3cx/journal"
TYPES = ("Inbound", "Outbound", "Missed", "Notanswered")

# The name under which a journal entry's field is posted, and the PBX's variable in it.
_TEXTS = {
    "type": "[CallType]",
    "number": "[Number]",
    "agent": "[Agent]",
    "agent_email": "[AgentEmail]",
    "name": "[Name]",
    "entity_id": "[EntityId]",
    "queue": "[QueueExtension]",
}
_TIMES = {
    "start": "CallStartTimeUTC",
    "established": "CallEstablishedTimeUTC",
    "end": "CallEndTimeUTC",
}
_YEARS = (1970, 2100)
_TIME_FORMAT = "yyyy-MM-ddTHH:mm:ssZ"


# --- the template ---------------------------------------------------------------------------


def template(*, name: str, base_url: str, country: str = "US", version: int = 1) -> str:
    """The XML to upload at Integrations > CRM > Server side.

    The API key is typed in there and is not part of it. Raises ValueError unless `base_url` is
    an address that the PBX can call safely.
    """
    parts = urlsplit(base_url)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(f"{base_url!r} is no https address without a query")
    crm = Element("Crm", Country=country, Name=name, Version=str(version), SupportsEmojis="true")
    SubElement(crm, "Number", Prefix="Plus", MaxLength="")
    SubElement(crm, "Connection", MaxConcurrentRequests="16")
    _parameters(crm, base_url.rstrip("/"))
    SubElement(crm, "Authentication", Type="No")
    scenarios = SubElement(crm, "Scenarios")
    _lookup(scenarios)
    _journal(scenarios)
    indent(crm)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(crm, encoding="unicode") + "\n"


def _parameters(crm: Element, base_url: str) -> None:
    rows = (
        ("ApiKey", "Password", "API key:", ""),
        ("BaseUrl", "String", "URL:", base_url),
        ("ReportCallEnabled", "Boolean", "Journaling", "True"),
    )
    parameters = SubElement(crm, "Parameters")
    for name, kind, title, default in rows:
        SubElement(
            parameters, "Parameter", Name=name, Type=kind, Parent="General Configuration",
            Editor="String", Title=title, Default=default,
        )  # fmt: skip


def _lookup(scenarios: Element) -> None:
    """Who is this number? The scenario without an id is asked at each call."""
    scenario = SubElement(scenarios, "Scenario", Id="", Type="REST")
    request = SubElement(
        scenario, "Request", Url=f"[BaseUrl]{LOOKUP_PATH}?number=[Number]", RequestType="Get",
        ResponseType="Json",
    )  # fmt: skip
    _authorise(request)
    rules = SubElement(scenario, "Rules")
    SubElement(rules, "Rule", Type="Any").text = "contacts.id"
    fields = {"Id": "id", "First": "first", "Last": "last", "Company": "company",
              "Phone": "phone", "Url": "url"}  # fmt: skip
    variables = SubElement(scenario, "Variables")
    for variable, field in fields.items():
        SubElement(variables, "Variable", Name=variable, Path=f"contacts.{field}")
    outputs = SubElement(scenario, "Outputs", AllowEmpty="false")
    told = {"ContactUrl": "[Url]", "FirstName": "[First]", "LastName": "[Last]",
            "CompanyName": "[Company]", "PhoneBusiness": "[Phone]", "EntityId": "[Id]",
            "EntityType": "Contacts"}  # fmt: skip
    for kind, value in told.items():
        SubElement(outputs, "Output", Type=kind, Value=value)


def _journal(scenarios: Element) -> None:
    """Report a call that is over, unless the administrator unticked it."""
    scenario = SubElement(scenarios, "Scenario", Id="ReportCall", Type="REST")
    request = SubElement(
        scenario, "Request", SkipIf="[ReportCallEnabled]!=True", Url=f"[BaseUrl]{JOURNAL_PATH}",
        RequestType="Post", RequestEncoding="Json", RequestContentType="application/json",
        ResponseType="Json",
    )  # fmt: skip
    _authorise(request)
    values = SubElement(request, "PostValues", Key="")
    times = {key: f'[[{name}].ToString("{_TIME_FORMAT}")]' for key, name in _TIMES.items()}
    for key, value in {**_TEXTS, **times}.items():
        SubElement(values, "Value", Key=key, Type="String").text = value
    SubElement(scenario, "Variables")
    SubElement(scenario, "Outputs", AllowEmpty="true")


def _authorise(request: Element) -> None:
    headers = SubElement(request, "Headers")
    SubElement(headers, "Value", Key="Authorization", Type="String").text = "Bearer [ApiKey]"


# --- what the PBX asks ----------------------------------------------------------------------


def _no_number(number: str) -> str:
    if not any(character.isdigit() for character in number):
        raise ValueError(f"{number[:20]!r} holds no digit")
    return number


def _with_plus(value: object) -> object:
    """A `+` that was not escaped in an address arrives as a space."""
    return f"+{value[1:]}" if isinstance(value, str) and value.startswith(" ") else value


Number = Annotated[str, Field(max_length=60), BeforeValidator(_with_plus)]
Text = Annotated[str, Field(max_length=200)]


class Lookup(BaseModel):
    """Who calls from this number? It goes back exactly as it came, or it counts for nothing."""

    model_config = ConfigDict(frozen=True)

    number: Annotated[Number, AfterValidator(_no_number)]


class Contact(BaseModel):
    """Whom we know there. `url` opens them in our pages and must be theirs alone."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1)
    url: str = Field(min_length=1)
    first: str = ""
    last: str = ""
    company: str = ""


def found(lookup: Lookup, contact: Contact | None) -> dict[str, Any]:
    """What a lookup answers. Raises ValueError for a contact whom 3CX would overlook."""
    if contact is None:
        return {"contacts": {}}
    if not (contact.first or contact.last or contact.company):
        raise ValueError(f"contact {contact.id} has neither a name nor a company")
    return {"contacts": {**contact.model_dump(), "phone": lookup.number}}


class JournalEntry(BaseModel):
    """A call at the PBX that is over. Times are UTC; those that did not happen are None.

    A caller may have withheld the number, so any text will do for it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    number: Number
    agent: Text
    start: datetime
    established: datetime | None = None
    end: datetime | None = None
    agent_email: Text = ""
    name: Text = ""
    entity_id: Text = ""
    queue: Text = ""

    @field_validator("type")
    @classmethod
    def _known_type(cls, kind: str) -> str:
        if kind not in TYPES:
            raise ValueError(f"{kind[:20]!r} is none of {', '.join(TYPES)}")
        return kind

    @field_validator("established", "end", mode="before")
    @classmethod
    def _may_be_missing(cls, value: object) -> object:
        """What never happened comes empty, or as the first day of the calendar."""
        never = isinstance(value, str) and (not value.strip() or value.startswith("0001-"))
        return None if never else value

    @field_validator("start", "established", "end")
    @classmethod
    def _in_utc(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        if not _YEARS[0] <= moment.year < _YEARS[1]:
            raise ValueError(f"{moment.isoformat()} is no time of a call")
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)

    @property
    def identity(self) -> str:
        """The same for the same call reported twice: the PBX sends no id of its own."""
        parts = (self.agent, self.number, self.type, self.start.isoformat(timespec="seconds"))
        # A length before each part: no two entries run together into the same text.
        text = "".join(f"{len(part)}:{part}" for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def incoming(self) -> bool:
        return self.type in ("Inbound", "Missed")

    @property
    def cause(self) -> EndCause:
        """How the call ended, in the words of all carriers."""
        answered = self.type in ("Inbound", "Outbound")
        return EndCause.COMPLETED if answered else EndCause.NO_ANSWER

    @property
    def talk_seconds(self) -> float | None:
        """How long they talked; None where that is not known."""
        if self.established is None or self.end is None:
            return None
        return max(0.0, (self.end - self.established).total_seconds())

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> JournalEntry:
        """Raises pydantic's ValidationError, which names the field."""
        return cls.model_validate(dict(data))
