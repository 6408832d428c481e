"""What Atlassian answers, as far as we read it. Unknown fields are kept, missing ones are None: not told, not false."""

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

Part = TypeVar("Part")
Listed = Annotated[list[Part], BeforeValidator(lambda value: [] if value is None else value)]
_TIME = TypeAdapter[datetime | None](datetime | None)


def _moment(value: Any) -> datetime | None:
    """An aware time; None when it can't be read, for no decision rests on it. Nine fractional digits are cut to six."""
    try:
        moment = _TIME.validate_python(value)
    except ValidationError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _flat(value: Any) -> Any:
    """Atlassian's document nests platformRoles one level deeper than its answers do."""
    if isinstance(value, dict):
        return _flat(list(value.values()))
    if isinstance(value, list):
        return [role for part in value for role in (_flat(part) if isinstance(part, list | dict) else [part])]
    return value


def bare_id(value: str) -> str:
    """The id at the end of an ARI, e.g. ari:cloud:identity::group/<id>, which some answers give instead."""
    bare = value.rpartition("/")[2]
    if not bare:
        raise ValueError("the id is empty")
    return bare


Moment = Annotated[datetime | None, BeforeValidator(_moment)]
GroupId = Annotated[str, AfterValidator(bare_id)]


class Lenient(BaseModel):
    """Names as Atlassian has them, or ours."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True, hide_input_in_errors=True)


class Email(Lenient):
    value: str
    type: str | None = None
    primary: bool | None = None


class Reference(Lenient):
    """A member of a group or a group of a user; ``value`` is the SCIM id."""

    value: str
    display: str | None = None
    type: str | None = None


class External(Lenient):
    account_id: str | None = Field(None, alias="atlassianAccountId")


class ScimUser(Lenient):
    """A user record. ``active`` is None when the answer does not say: unknown, not false."""

    id: str
    user_name: str | None = Field(None, alias="userName")
    external_id: str | None = Field(None, alias="externalId")
    display_name: str | None = Field(None, alias="displayName")
    active: bool | None = None
    emails: Listed[Email] = []
    groups: Listed[Reference] = []
    external: External | None = Field(None, alias="urn:scim:schemas:extension:atlassian-external:1.0")

    @property
    def atlassian_account_id(self) -> str | None:
        """The Atlassian account; None for a while after the record was made."""
        return self.external.account_id if self.external else None

    @property
    def group_ids(self) -> frozenset[str]:
        return frozenset(group.value for group in self.groups)


class ScimGroup(Lenient):
    """A group record. Trust ``members`` from ``get_group`` only: entries of a list may come without."""

    id: str
    display_name: str | None = Field(None, alias="displayName")
    external_id: str | None = Field(None, alias="externalId")
    members: Listed[Reference] = []

    @property
    def member_ids(self) -> frozenset[str]:
        return frozenset(member.value for member in self.members)


class Camel(Lenient):
    """The same, for the APIs whose names are in camel case throughout."""

    model_config = ConfigDict(alias_generator=to_camel)


class Org(Lenient):
    id: str
    attributes: dict[str, Any] = {}

    @property
    def name(self) -> str | None:
        name = self.attributes.get("name")
        return name if isinstance(name, str) else None


class OrgDirectory(Camel):
    """A directory of people; its id is no SCIM directory id."""

    directory_id: str
    name: str | None = None


class Claim(Lenient):
    type: str | None = None
    status: str | None = None


class DomainAttributes(Lenient):
    name: str
    claim: Claim = Claim()


class Domain(Lenient):
    attributes: DomainAttributes

    @property
    def name(self) -> str:
        return self.attributes.name

    @property
    def verified(self) -> bool:
        """Only a verified domain is the organization's own; the other states prove nothing."""
        return self.attributes.claim.status == "verified"


class GroupOfUser(Camel):
    id: GroupId
    name: str | None = None


class ProductAccess(Camel):
    id: str | None = None
    key: str | None = None
    last_active_timestamp: Moment = None


class OrgUser(Camel):
    """A person in a directory. None means that the answer did not tell, e.g. because it was not expanded."""

    account_id: str
    account_type: str | None = None
    account_status: str | None = None  # active | inactive | closed
    membership_status: str | None = None  # active | suspended | no_membership
    status: str | None = None  # active | suspended | not_invited | deactivated | for_deletion
    claim_status: str | None = None  # managed | unmanaged
    management_source: str | None = None  # synced | invited
    name: str | None = None
    nickname: str | None = None
    email: str | None = None
    email_verified: bool | None = None
    added_to_org: Moment = None
    deactivated_on: Moment = None
    platform_roles: Annotated[list[str] | None, BeforeValidator(_flat)] = None
    product_access: list[ProductAccess] | None = None
    groups: list[GroupOfUser] | None = None


class ManagementAccess(Lenient):
    readable: bool | None = None
    modifiable: bool | None = None
    deletable: bool | None = None


class OrgGroup(Camel):
    id: GroupId
    directory_id: str | None = None
    name: str
    description: str | None = None
    managed_by: str | None = None  # external | admins | team-members | open
    external_synced: bool | None = None
    management_access: ManagementAccess | None = None
    counts: dict[str, Any] | None = None

    @property
    def synced(self) -> bool:
        """True when its members can't be changed here: a directory feeds it, or Atlassian says so."""
        closed = self.management_access is not None and self.management_access.modifiable is False
        return bool(self.external_synced) or self.managed_by == "external" or closed


class RoleRoute(Camel):
    """How a person comes by a role: ``inferred``, ``direct``, ``group_direct`` or what Atlassian adds."""

    role: str
    role_assignment_methods: Listed[str] = []


class RoleAssignment(Camel):
    """Roles on one resource, of a person (with routes) or of a group (with a default role)."""

    resource_id: str | None = None
    resource_owner: str | None = None
    directory_id: str | None = None
    user_directory_status: str | None = None
    roles: Listed[str] = []
    role_assignments: Listed[RoleRoute] = []
    default_role: str | None = None


class ScimLink(Camel):
    """The SCIM record behind an account; one person may have several, one a directory."""

    scim_user_id: str
    atlassian_account_id: str | None = None
    directory_id: str
    org_id: str | None = None


class Reason(Lenient):
    key: str | None = None


class Privilege(Lenient):
    allowed: bool
    reason: Reason | None = None


class Privileges(Lenient):
    """What may be done to an account. Some are told field by field, as ``profile.write`` is."""

    whole: dict[str, Privilege]
    fields: dict[str, dict[str, Privilege]]

    def allowed(self, name: str, field: str | None = None) -> bool | None:
        """None when the answer does not say: take it for no."""
        verdict = self._verdict(name, field)
        return verdict.allowed if verdict else None

    def reason(self, name: str, field: str | None = None) -> str | None:
        """Atlassian's key for why not, e.g. ``externalDirectory.scim``."""
        verdict = self._verdict(name, field)
        return verdict.reason.key if verdict and verdict.reason else None

    @property
    def external(self) -> str | None:
        """``externalDirectory.scim`` or ``externalDirectory.google`` when such a directory runs the account."""
        verdicts = [*self.whole.values(), *(part for parts in self.fields.values() for part in parts.values())]
        keys = sorted({verdict.reason.key or "" for verdict in verdicts if verdict.reason})
        return next((key for key in keys if key.startswith("externalDirectory.")), None)

    def _verdict(self, name: str, field: str | None) -> Privilege | None:
        return self.fields.get(name, {}).get(field) if field else self.whole.get(name)


class Profile(Lenient):
    """A managed account."""

    account_id: str
    account_status: str | None = None  # active | inactive | closed
    account_type: str | None = None
    name: str | None = None
    nickname: str | None = None
    email: str | None = None
    zoneinfo: str | None = None
    locale: str | None = None
    extended_profile: dict[str, Any] | None = None
