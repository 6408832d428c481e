"""What there is to know of each command beyond its line in the menu; help, docs/commands.md and the README print it."""

from dataclasses import dataclass

from approvals.authority import MAY
from approvals.policy import listed
from approvals.states import QUIET

GET, TAKE, ACCOUNTS, LOOK, RUN = (
    "Get access",
    "Take access away",
    "People and accounts",
    "Look",
    "Run it",
)
GROUPS = (GET, TAKE, ACCOUNTS, LOOK, RUN)
BY_ENTITLEMENT = "whom the entitlement's rule names"
BY_VERB = "whom the policy's rule for this command names"
ALONE = "Only you see the answer, in a window; never a channel. That you looked is in the record."
YOURS = "oneself and those whose manager one is; of anybody: {roles}"

SCIM_GROUP = "SCIM PATCH Group where a directory of ours owns the group"
GIVING = f"{SCIM_GROUP}; Organizations v2 membership or role; the Jira group where only the site has it"
SCIM_ACTIVE = "SCIM `active` where SCIM owns the account, User management `lifecycle` where not"
READING = "Organizations, User management and SCIM, read only"
NOTHING = "none: the record only"


@dataclass(frozen=True)
class Page:
    """One command, explained."""

    group: str
    more: str  # what it does, for somebody who has never seen it
    example: str  # a whole command, as it is typed
    may: str = "everyone"  # who may; ``{roles}`` are those of the table in `authority`
    action: str = ""  # the line of that table
    answers: str = ""  # who must answer; empty where it is no request
    api: str = NOTHING
    private: str = ""  # who sees what of it

    @property
    def who_may(self) -> str:
        roles = listed([f"the role {role}" for role in sorted(MAY.get(self.action, ()))])
        return self.may.format(roles=roles)


UNEXPLAINED = Page(RUN, "", "")
PAGES: dict[str, Page] = {
    "grant": Page(
        GET,
        "Gatehouse reads Atlassian and shows a plan. Whoever the policy names answers; then the access is given, read "
        "back, and taken away again when its time is over. What is missing opens the form; `/access` alone opens it "
        "empty. Leave out the person to ask for yourself; say `until revoked` where the policy allows it.",
        "/access grant eu-jira-admins for 2h because INC-42: the queue is stuck",
        BY_ENTITLEMENT, answers=BY_ENTITLEMENT, api=GIVING,
        private="The card stands in the channel the policy names; the person it is for is told.",
    ),
    "extend": Page(
        GET,
        "Asks the same people once more, for more time. What is held goes on meanwhile, and all of it together is "
        "never longer than the policy allows. *Extend…* on the card and in App Home does the same.",
        "/access extend REQ-23456789ab for 2h",
        "who may ask for the entitlement", answers=BY_ENTITLEMENT, api="as `grant`",
        private="As `grant`.",
    ),
    "cancel": Page(
        GET,
        "Only before anything was changed in Atlassian; during the pause of a high tier any approver can, too. "
        "*Cancel the request* on the card and *Cancel* in App Home do the same.",
        "/access cancel REQ-23456789ab",
        "who asked; during the pause whoever may answer; of anybody's: {roles}", "cancel others",
    ),
    "end": Page(
        TAKE,
        "What was given is taken away now and not at its end. Nobody has to approve that. *End now* on the card and "
        "*Give back* in App Home do the same. What one had before Gatehouse gave it stays.",
        "/access end REQ-23456789ab",
        "who holds it, who asked for it; of anybody's: {roles}", "end others", api="as `grant`",
        private="The request's thread says it.",
    ),
    "revoke": Page(
        TAKE,
        "Takes a group or a role away now, whoever gave it. The plan says by which other way the person keeps the "
        "product, and warns where an identity provider may undo it. `org-admin` is the one road by which an "
        "administrator becomes an account like any other: two of the role admin answer, always.",
        "/access revoke @ada eu-jira-admins because she moved to another team",
        BY_VERB, answers=BY_VERB, api=GIVING,
        private="The card stands in the channel the policy names; the person is told.",
    ),
    "suspend": Page(
        TAKE,
        "The first answer to a stolen account: it reaches nothing in the organization until `restore`, and nothing "
        "is lost. It works for accounts the organization does not manage, too; those live on elsewhere.",
        "/access suspend @ada because her laptop was stolen",
        BY_VERB, answers=BY_VERB, api="Organizations v2 suspend",
    ),
    "deactivate": Page(
        TAKE,
        "The account is deactivated, and its API tokens are deleted, new ones as well: done only when none is left. "
        "Two people answer, type the name, and a pause follows in which any of them can stop it.",
        "/access deactivate @ada because she has left the company",
        BY_VERB, answers=BY_VERB, api=f"{SCIM_ACTIVE}; User management API tokens",
    ),
    "offboard": Page(
        TAKE,
        "Somebody leaves: the account is deactivated, API tokens deleted, every grant ended and every open request "
        "cancelled, with proof of each step. Say `on Friday 18:00` before `because` to have it done then.",
        "/access offboard @ada on Friday 18:00 because it is her last day",
        BY_VERB, answers=BY_VERB, api="as `deactivate` and `end`",
    ),
    "tokens": Page(
        LOOK,
        "Lists the API tokens of a managed account: label, when made, last used, when over. With `delete because …` "
        "it asks to delete them all, which is a request like any other.",
        "/access tokens @ada delete because one of them is in a public repository",
        f"to look: {YOURS}; to delete: {BY_VERB}", "read others", answers=BY_VERB,
        api="User management API tokens",
        private=f"{ALONE} Labels and last uses are kept nowhere.",
    ),
    "provision": Page(
        ACCOUNTS,
        "An account for somebody new: in the directory that Gatehouse writes, else by an invitation. Name what they "
        "are to have, and it is given in the same request.",
        '/access provision joan@example.com "Joan Clarke" eu-jira-admins because she starts on Monday',
        BY_VERB, answers=BY_VERB, api="SCIM POST User; an Organizations invitation; a Jira user, marked as legacy",
    ),
    "email": Page(
        ACCOUNTS,
        "Changes the address of an account, where its owner lets us: through SCIM when SCIM owns the account, never "
        "past it. Two people answer and type the name.",
        "/access email @ada ada.byron@example.com because she changed her name",
        BY_VERB, answers=BY_VERB, api="SCIM where SCIM owns the account, User management where not",
    ),
    "reactivate": Page(
        ACCOUNTS,
        "Lets a deactivated account in again. The plan says which API tokens would live again; they are deleted "
        "unless the policy's people agree to keep them.",
        "/access reactivate @ada because she is back from leave",
        BY_VERB, answers=BY_VERB, api=SCIM_ACTIVE,
    ),
    "restore": Page(
        ACCOUNTS,
        "Gives a suspended account back what it had.",
        "/access restore @ada because the laptop is found and wiped",
        BY_VERB, answers=BY_VERB, api="Organizations v2 restore",
    ),
    "bind": Page(
        ACCOUNTS,
        "Says which Atlassian account a Slack user is. Another admin must confirm it, the person and the security "
        "channel are told, and for a day the binding approves nothing.",
        "/access bind @ada ada@example.com",
        "{roles}; another one confirms it", "bind",
        private="The security channel and the person are told.",
    ),
    "unbind": Page(
        ACCOUNTS,
        "The Slack user is nobody in Atlassian any more, so Gatehouse does not hear them.",
        "/access unbind @ada",
        "{roles}", "bind", private="The security channel and the person are told.",
    ),
    "mine": Page(
        LOOK,
        "What is on its way is said as that. App Home shows the same, with buttons.",
        "/access mine",
    ),
    "status": Page(
        LOOK,
        "A request as its card shows it. Without a number: whether everything stands still, and what is protected. "
        "In the thread of a card `@Gatehouse status` is answered, too.",
        "/access status REQ-23456789ab",
        "who asked, whom it is about, whoever may answer; of anybody's: {roles}", "read others",
        private="What you may not see answers like what does not exist.",
    ),
    "whois": Page(
        LOOK,
        "Managed or not, who owns the account, its groups and roles and how each is held, what Gatehouse gave and "
        "until when, how many API tokens, when last active.",
        "/access whois @ada",
        YOURS, "read others", api=READING, private=ALONE,
    ),
    "who": Page(
        LOOK,
        "Everybody who holds an entitlement, until when and because of which request, and who has it by default with "
        "the product only.",
        "/access who eu-jira-admins",
        "its owner; of any: {roles}", "read others", api=READING, private=ALONE,
    ),
    "audit": Page(
        LOOK,
        "What the record has of a request, or of all that concerns a person: who did what when, page by page.",
        "/access audit REQ-23456789ab",
        "of a request: who may see it; of a person: " + YOURS, "read others",
        private=f"{ALONE} Of a quiet request nothing shows before the deed, except to who may see it.",
    ),
    "help": Page(
        LOOK,
        "All commands; with the name of a command or of an entitlement that one alone: how it is typed, who may ask "
        "and who answers.",
        "/access help grant",
    ),
    "delegate": Page(
        RUN,
        "Somebody else answers for you while you are away, 30 days at most. It is shown on every card, open "
        "questions move as well, and nobody answers what is for themselves. `/access delegate nobody` ends it.",
        "/access delegate @ada for 5 days",
        private="Both of you are told.",
    ),
    "bulk": Page(
        ACCOUNTS,
        "Opens a form that takes a CSV file of at most 10,000 lines: person, action, entitlement, until, reason. The "
        "list is one question with one plan, paged row by row; it is answered by those who may answer for every row, "
        "who type the number of accounts. A row that can't be done never stops the others, unless you tick “all or "
        "nothing”. A file with what became of each row comes into the thread. From a shell: `gatehouse bulk FILE`, "
        "which the person it is for confirms in Slack.",
        "/access bulk",
        BY_VERB, answers="whoever may answer for every row, and two at least",
        api="those of its rows, up to 100 members in one SCIM PATCH",
        private="The card stands in the private channel; nobody in the list is told before it is done.",
    ),
    "reconcile": Page(
        RUN,
        "Reads each group and role that Gatehouse gave somebody, and says where Atlassian shows something else than "
        "the record. The bot does the same by itself, every minute for what changed in the last hour and every "
        "quarter of an hour for the rest. `gatehouse reconcile` does it from a shell.",
        "/access reconcile",
        "{roles}", "reconcile", api=READING, private="Only you hear what was found; what is new is told to operators.",
    ),
    "safe-mode": Page(
        RUN,
        "When the database was lost, or an older copy of it was put back, Gatehouse gives nothing: the record can't "
        "say any more who holds what because of what. This lists, entitlement by entitlement, everybody it can't "
        "explain, with what was said outside about them. Each is adopted with an end, ended, or left because it was "
        "held before. When all are settled safe mode is left. `docs/runbooks/database-lost.md` has the whole way.",
        "/access safe-mode",
        "{roles}", "leave safe mode", api=READING,
        private="Only you see the window; what you settle is in the record, and security hears of it when it is left.",
    ),
    "drill": Page(
        RUN,
        "The whole of `/breakglass` on the group that the policy names for it, which opens nothing: everybody is "
        "told, it ends by itself, and it is reviewed. Practise it every 90 days. `gatehouse drill` asks for one.",
        "/access drill",
        "{roles}", "drill", api="as `grant`",
        private="Everybody who would hear of an emergency hears of it, marked as a drill.",
    ),
    "freeze": Page(
        RUN,
        "Nothing is given and nothing is destroyed any more; what ends still ends. One alone may do it, from a shell "
        "as well (`gatehouse freeze`).",
        "/access freeze because we don't understand what is going on",
        "{roles}", "freeze", private="The security and the operators' channels are told.",
    ),
    "unfreeze": Page(
        RUN,
        "Opens a proposal in the security channel: two must agree, and one of them is not who froze.",
        "/access unfreeze",
        "{roles}", "unfreeze", answers="two of the roles admin and security, one of them not who froze",
    ),
}  # fmt: skip


def page_of(verb: str) -> Page:
    """Its page; a command without one stands in the menu all the same."""
    return PAGES.get(verb, UNEXPLAINED)


def seen_by(verb: str) -> str:
    """Who sees what of it; a quiet command does not exist for whom it is about."""
    page = page_of(verb)
    if verb not in QUIET:
        return page.private
    quiet = "Quiet: the card is only in the private channel, and whom it is about sees nothing before the deed."
    return f"{page.private} {quiet}".strip()
