"""What the Organizations API answers beyond people, groups and roles: figures, invitations, policies, the audit log."""

from typing import Any

from pydantic import Field

from bot.atlassian.shapes import Camel, Lenient, Listed, Moment


class Count(Lenient):
    count: int


class StatusCount(Lenient):
    status: str
    count: int


class RoleCount(Camel):
    role_id: str
    count: int


class UserStats(Camel):
    account_status: list[StatusCount]
    roles: Listed[RoleCount] = Field([])


class GroupTotals(Lenient):
    all: int
    managed: int | None = None
    synced: int | None = None


class TypeCount(Lenient):
    type: str
    count: int


class GroupStats(Lenient):
    totals: GroupTotals
    types: Listed[TypeCount] = Field([])


class ProductUsed(Lenient):
    """When a product was last used: the day, and since 2024 the moment."""

    id: str | None = None
    key: str | None = None
    name: str | None = None
    url: str | None = None
    last_active: Moment = None
    last_active_timestamp: Moment = None


class ManagedAccount(Lenient):
    account_id: str
    account_type: str | None = None
    account_status: str | None = None  # active | inactive | closed
    name: str | None = None
    email: str | None = None
    access_billable: bool | None = None
    last_active: Moment = None
    product_access: Listed[ProductUsed] = Field([])


class LastActive(Lenient):
    added_to_org: Moment = None
    added_to_org_timestamp: Moment = None
    product_access: list[ProductUsed]

    def with_more(self, products: list[ProductUsed]) -> "LastActive":
        """This, with what the next page told."""
        return self.model_copy(update={"product_access": [*self.product_access, *products]})


class RoleInvited(Lenient):
    resource: str | None = None
    role: str | None = None
    status: str | None = None  # INVITED | ERROR
    reason: str | None = Field(None, alias="statusReason")


class GroupInvited(Lenient):
    group: str | None = None
    status: str | None = None  # INVITED | ERROR
    reason: str | None = Field(None, alias="statusReason")


class InvitedParts(Camel):
    role_assignment_result: Listed[RoleInvited] = Field([])
    group_assignment_result: Listed[GroupInvited] = Field([])


class Invitation(Lenient):
    """What became of one invited person, part by part."""

    id: str | None = None
    email: str | None = None
    results: Listed[InvitedParts] = Field([])

    @property
    def refused(self) -> list[RoleInvited | GroupInvited]:
        """The parts that failed; a status we do not know is not taken for success."""
        parts = (part for result in self.results for part in self._of(result))
        return [part for part in parts if part.status != "INVITED"]

    @staticmethod
    def _of(result: InvitedParts) -> list[RoleInvited | GroupInvited]:
        return [*result.role_assignment_result, *result.group_assignment_result]


class PolicyAttributes(Lenient):
    type: str
    name: str | None = None
    status: str | None = None  # enabled | disabled
    rule: Any = None
    resources: Listed[dict[str, Any]] = Field([])


class OrgPolicy(Lenient):
    """A policy of the organization, e.g. the list of allowed addresses; nothing of ours."""

    id: str
    attributes: PolicyAttributes

    @property
    def kind(self) -> str:
        return self.attributes.type


class WorkspaceAttributes(Camel):
    name: str | None = None
    type: str | None = None
    type_key: str | None = None
    status: str | None = None  # online | offline | deprecated
    owner: str | None = None
    host_url: str | None = None
    capacity: int | None = None
    usage: int | None = None


class Workspace(Lenient):
    """A product on a site; its id is the ARI that role calls take."""

    id: str
    attributes: WorkspaceAttributes = WorkspaceAttributes()


class EventLinks(Lenient):
    self_: str | None = Field(None, alias="self")
    alt: str | None = None


class EventAuth(Camel):
    """How the actor came in, e.g. ``api-token`` with the label of the key."""

    auth_type: str | None = None
    token_id: str | None = None
    token_label: str | None = None


class EventActor(Camel):
    id: str | None = None
    name: str | None = None
    email: str | None = None
    auth: EventAuth | None = None
    on_behalf_of: dict[str, Any] | None = None
    app: dict[str, Any] | None = None
    links: EventLinks | None = None


class EventItem(Lenient):
    """What an event is about (context) or where it happened (container); live ones may lack the id."""

    id: str | None = None
    type: str | None = None
    attributes: dict[str, Any] | None = None
    links: EventLinks | None = None


class EventAttributes(Camel):
    action: str
    time: Moment = None
    processed_at: Moment = None  # in the stream only
    actor: EventActor | None = None
    context: Listed[EventItem] = Field([])
    container: Listed[EventItem] = Field([])
    location: dict[str, Any] | None = None


class Message(Lenient):
    content: str | None = None
    format: str | None = None


class Event(Lenient):
    """An entry of the audit log. Only its id and its action are relied on: live events lack all sorts of the rest."""

    id: str
    attributes: EventAttributes
    message: Message | None = None
    links: EventLinks | None = None

    @property
    def about(self) -> frozenset[str]:
        """The ids of accounts, groups and whatever else it is about."""
        return frozenset(item.id for item in self.attributes.context if item.id)


class EventPage(Lenient):
    """Some events, and the cursor that leads on; None when there is no more, or not yet a way to it."""

    events: list[Event]
    cursor: str | None = None


class ActionNames(Camel):
    display_name: str | None = None
    group_display_name: str | None = None


class EventAction(Lenient):
    """An action that the audit log knows, with its names for people."""

    id: str
    attributes: ActionNames = ActionNames()
