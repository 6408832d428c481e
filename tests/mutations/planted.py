"""Bugs that somebody could make, planted one at a time; of each it is said which tests must notice.

`make mutations` plants each in a copy of the tree and runs only its tests. A bug that survives says that a promise is
not held by any test, whatever the tests look like.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """``edits`` are exact texts of the file, each of which stands there once, and what takes their place."""

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    why: str  # what would go wrong
    tests: tuple[str, ...]  # as pytest takes them; on SQLite, where they run on both engines


def planted(name: str, file: str, old: str, new: str, why: str, *tests: str) -> Mutation:
    return Mutation(name, file, ((old, new),), why, tests)


PROVISIONING, ENDING, WORKFLOW = (f"tests/approvals/test_{name}.py" for name in ("provisioning", "ending", "workflow"))

PLANTED = (
    # -- one decision, one effect -------------------------------------------------------------------------------------
    planted(
        "no compare-and-set", "approvals/store.py",
        '        col(AccessRequest.status) == bindparam("_status"),\n'
        '        col(AccessRequest.version) == bindparam("_version"),\n',
        '        bindparam("_status") == bindparam("_status"),\n'
        '        bindparam("_version") == bindparam("_version"),\n',
        "a request that was cancelled meanwhile is planned, approved and given",
        "tests/approvals/test_states.py::test_a_move_of_a_row_that_somebody_moved_meanwhile_is_stale_and_writes_nothing",
    ),
    planted(
        "deny is not final", "approvals/states.py",
        '    (Status.APPLYING, "finish", Status.DONE, "every step was read back"),\n',
        '    (Status.APPLYING, "finish", Status.DONE, "every step was read back"),\n'
        '    (Status.DENIED, "approve", Status.APPROVED, "somebody else said yes"),\n',
        "who said no is overruled by the next click",
        "tests/approvals/test_states.py::test_nothing_leads_out_of_an_end",
    ),
    planted(
        "the replay row is not written", "approvals/store.py",
        '        if self.connection.execute(_REMEMBER[self.connection.dialect.name], rows).rowcount < len(keys):\n',
        '        if not rows:\n',
        "Slack delivers a command twice, and it is done twice",
        "tests/approvals/test_store.py::test_the_same_payload_twice_at_once_is_acted_on_once",
    ),
    planted(
        "a lease without a fence", "approvals/jobs.py",
        "    if held.rowcount == 0:\n        raise LeaseLost(claim.key)\n",
        "    if held.rowcount == 0:\n        return\n",
        "a worker that stood still goes on with what another has taken over",
        "tests/approvals/test_store.py::test_a_job_that_lost_its_lease_writes_nothing",
    ),
    planted(
        "a commit of nothing", "approvals/batch.py",
        "    return not isinstance(there, sqlite3.Connection) or there.in_transaction\n", "    return True\n",
        "whose writing SQLite undid with somebody else's is told that it is on disk",
        "tests/approvals/test_batch.py::test_whom_the_database_rolled_back_with_somebody_else_hears_it",
    ),
    planted(
        "admins are counted and the lease is not asked", "approvals/provisioning.py",
        "            if turn:\n                turn.insist(w.connection)\n", "",
        "two removals count the same three admins, and one is left",
        "tests/approvals/test_verbs.py::test_whoever_counted_for_longer_than_the_lease_counts_again",
    ),
    planted(
        "whom another process takes out is counted", "bot/atlassian/plans/org_admins.py",
        "            admins = self.now() - (turn.gone - going)", "            admins = self.now()",
        "two machines end what two admins of three have by a group, and one is left",
        "tests/bot/atlassian/test_admins_by_entitlement.py::test_what_one_process_takes_out_another_counts_as_gone",
    ),
    planted(
        "what is asked for while it runs is forgotten", "approvals/jobs.py",
        '        "again": job.status == "running",\n',
        '        "again": False,\n',
        "a card shows for ever what was so when it was last drawn",
        "tests/approvals/test_jobs.py::test_work_asked_for_while_it_runs_runs_once_more",
    ),
    planted(
        "a transaction that begins by reading", "approvals/database.py",
        '        with begun_with("BEGIN IMMEDIATE"):\n', '        with begun_with(""):\n',
        "what a broken transaction did is kept in part",
        "tests/approvals/test_store.py::test_what_a_broken_transaction_did_is_undone_with_entry_job_and_news",
    ),
    # -- nothing without the record -----------------------------------------------------------------------------------
    planted(
        "an audit entry skipped", "approvals/calls.py",
        '        w.audit("call.intended", ',
        '        (lambda *_, **__: None)("call.intended", ',
        "a call changes something in Atlassian, and the record has nothing of it",
        f"{PROVISIONING}::test_the_end_and_the_intent_are_committed_before_the_call",
    ),
    planted(
        "a crowd ends by steps that nobody has looked for in the chain", "approvals/ending_together.py",
        "                    if grant.request_id in known:\n                        self.ending",
        "                    if True:\n                        self.ending",
        "whoever edits the database chooses whom the bot takes out of a group",
        "tests/approvals/test_ending_together.py::test_nor_is_what_follows_from_a_giving_step_that_was_written_by_hand",
    ),
    planted(
        "a move without its entry", "approvals/store.py",
        '        self.audit(\n            f"request.{to}",\n',
        '        (lambda *_, **__: None)(\n            f"request.{to}",\n',
        "a request changes its state, and nobody can say who did it",
        "tests/approvals/test_store.py::test_a_move_leaves_its_entry_and_a_redrawing",
    ),
    Mutation(
        "verifying without looking at the link before", "approvals/gatehouse_verify.py",
        (
            ('        and f"{page.prevs},{page.hashes[-64:]}" == f"{found.head},{page.hashes}"\n', ""),
            ("    if prev != found.head:\n", "    if False:\n"),
        ),
        "an entry is cut out and the rest renumbered, and the chain is called whole",
        (
            "tests/approvals/test_audit.py::test_tampering_is_found_by_who_walks_the_chain",
            "tests/approvals/test_audit.py::test_a_body_rewritten_with_its_own_hash_breaks_the_next_link",
        ),
    ),
    planted(
        "two pages of the record share a number", "approvals/gatehouse_verify.py",
        "        if len(entries) == PAGE:\n", "        if False:\n",
        "where the table has lost its key, a forged entry hides behind the last one of a page",
        "tests/approvals/test_tampering.py::test_nothing_hides_between_two_pages",
    ),
    planted(
        "a vote is believed because it stands in the table", "approvals/counting.py",
        "        if not any(_is_the_entry_of(vote, body[\"data\"]) for body in cast):\n", "        if not cast:\n",
        "whoever can write the database casts votes for others",
        "tests/approvals/test_many_answers.py",
    ),
    planted(
        "a step is believed because it stands in the table", "approvals/calls.py",
        "    return known | {id for id, rows in steps.items() if committed[id].issuperset(map(_digest, rows))}\n",
        "    return set(steps)\n",
        "whoever can write the database puts themselves into a group with the bot's key",
        "tests/approvals/test_steps_by_hand.py",
    ),
    # -- who may ------------------------------------------------------------------------------------------------------
    planted(
        "the approver is checked only when asked", "approvals/beginning.py",
        "        for one in case.yes:\n", "        for one in ():\n",
        "who was dismissed after the click still gives access",
        f"{PROVISIONING}::test_an_approver_who_is_no_longer_a_full_member_does_not_count",
    ),
    planted(
        "who asked is not looked at again", "approvals/beginning.py",
        "    if isinstance(speaker, people.Stop) or speaker.account != request.requester:\n", "    if False:\n",
        "access is given on the word of somebody who has left",
        "tests/matrix/test_both_moments.py",
    ),
    planted(
        "self-approval is judged by the Slack user", "approvals/authority.py",
        "    if account == case.requester:\n        return Verdict(False, \"nobody approves their own request\"",
        "    if account == case.policy.hash:\n        return Verdict(False, \"nobody approves their own request\"",
        "people approve their own requests",
        f"{WORKFLOW}::test_own_is_judged_by_the_account_and_not_by_the_slack_user",
    ),
    planted(
        "a protected account is looked at only when it is asked", "approvals/beginning.py",
        "        forbidden = policy.untouchable(request.subject)\n", "        forbidden = None\n",
        "an account that was protected after the approval is destroyed",
        "tests/approvals/test_verbs.py::test_an_account_protected_after_the_approval_is_left_alone",
    ),
    planted(
        "a missing team id is accepted", "bot/envelope.py",
        '    insist(_matches(TEAM, team) and team in teams, "team")\n',
        '    insist(team is None or team in teams, "team")\n',
        "a payload of no workspace, or of any, is acted on with our token",
        "tests/bot/test_envelope.py::test_another_workspace_or_none_at_all_is_refused",
    ),
    planted(
        "every signature is right", "bot/seal.py",
        "        if not SIGNATURE.fullmatch(signature):\n            return False\n",
        "        return bool(SIGNATURE.fullmatch(signature))\n",
        "anybody on the internet gives commands",
        "tests/bot/test_guard.py::test_a_signature_that_is_not_ours_is_refused_without_an_exception",
        "tests/bot/test_guard.py::test_one_changed_byte_breaks_the_signature",
    ),
    planted(
        "an id goes into a path as it is", "bot/http.py",
        "    if not isinstance(value, str) or IDS[kind].fullmatch(value) is None:\n",
        "    if not isinstance(value, str):\n",
        "an id with slashes in it reaches another address with our key",
        "tests/bot/test_http.py::test_a_hostile_id_sends_nothing",
    ),
    planted(
        "what httpx makes of a path is not looked at", "bot/http.py",
        "        if url.raw_path != target.encode():\n", "        if False:\n",
        "the address that is called is another than the one that was built",
        "tests/bot/test_http.py::test_nor_is_one_that_the_first_look_let_through",
    ),
    # -- what was approved is what is done ----------------------------------------------------------------------------
    planted(
        "the plan's hash is ignored", "approvals/beginning.py",
        "        if plan.hash != request.plan_hash and not", "        if False and not",
        "what is done is another thing than what was shown",
        f"{PROVISIONING}::test_a_target_with_another_owner_is_not_what_was_approved",
    ),
    planted(
        "the freeze is ignored", "approvals/safety.py",
        '        raise jobs.Later(THAWS, "frozen, or in safe mode")\n', "        pass\n",
        "in the middle of a break-in everything goes on being given",
        f"{PROVISIONING}::test_while_everything_stands_still_nothing_is_begun_and_what_ends_still_ends",
    ),
    planted(
        "a ceiling counts nothing", "approvals/changing.py",
        "            safety.count(w, request)\n", "            pass\n",
        "one stolen account deactivates the whole company",
        "tests/approvals/test_verbs.py::test_the_ceiling_of_a_day_is_everybodys",
    ),
    planted(
        "a quiet request is told to whom it is about", "approvals/planning.py",
        "        if request.verb in QUIET:\n            return\n", "        if not request.verb:\n            return\n",
        "who is to be deactivated reads of it, and has five minutes",
        "tests/approvals/test_verbs.py::test_who_it_is_about_hears_nothing_before_the_deed",
    ),
    # -- nothing left open --------------------------------------------------------------------------------------------
    Mutation(
        "the end is asked for after the gift", "approvals/provisioning.py",
        (
            ("            w.enqueue(\"end\", grant.id or 0, at=ends_at, priority=jobs.ENDS)\n", "            pass\n"),
            (
                "            now = w.move(request, \"finish\", actor=MACHINE, data={\"read_back\": True})\n",
                "            w.enqueue(\"end\", fresh.id or 0, at=fresh.ends_at or w.now, priority=jobs.ENDS)\n"
                "            now = w.move(request, \"finish\", actor=MACHINE, data={\"read_back\": True})\n",
            ),
        ),
        "a crash after the call leaves access for ever",
        (f"{PROVISIONING}::test_the_end_and_the_intent_are_committed_before_the_call",),
    ),
    planted(
        "the reading back is skipped", "approvals/calls.py",
        "        if not self.directory.is_true(step):\n", "        if False:\n",
        "it is announced as given, and it is not",
        f"{PROVISIONING}::test_what_is_accepted_and_not_yet_visible_is_looked_at_again",
        f"{ENDING}::test_nothing_is_told_as_ended_before_a_read_shows_it",
    ),
    planted(
        "what was held before is taken away", "approvals/ending.py",
        "        remove = not still and not grant.held_before\n", "        remove = not still\n",
        "who asks for two hours of what they have had for years is without it afterwards",
        f"{ENDING}::test_what_was_held_before_is_neither_given_nor_taken",
    ),
    planted(
        "the first of two ends takes it", "approvals/ending.py",
        "        still = [other for other in others if other.status in LIVE]\n", "        still: list[Grant] = []\n",
        "access that was extended ends at the old time",
        f"{ENDING}::test_overlapping_grants_end_with_the_last_one",
    ),
    planted(
        "not shown is taken for gone", "approvals/ending.py",
        "        return unseen and not self._tells_enough(session, grant, row)\n", "        return False\n",
        "what is ended before it shows stays for ever",
        f"{ENDING}::test_what_is_ended_before_it_shows_is_taken_away_all_the_same",
    ),
    planted(
        "an end is given up", "bot/worker.py",
        "claim.kind not in NEVER_BURIED", 'claim.kind not in NEVER_BURIED - {"end"}',
        "Atlassian refuses once, and access stays",
        f"{ENDING}::test_an_end_is_never_given_up_though_atlassian_says_it_never_will",
    ),
    planted(
        "a gateway's 404 is taken for gone", "bot/atlassian/plans/roads.py",
        "            if not missing.by_api:\n                raise\n            holds = False\n",
        "            holds = False\n",
        "a proxy's error page proves that access was taken away",
        "tests/bot/test_directory.py::test_a_404_of_something_in_between_proves_nothing",
    ),
    planted(
        "no review after break-glass", "approvals/glass.py",
        "        w.add(\n            Review(\n", "        (lambda row: row)(\n            Review(\n",
        "nobody answers for an emergency",
        "tests/approvals/test_reviews.py::test_security_and_a_bypassed_approver_settle_it_with_a_reason",
    ),
    planted(
        "a question never lapses", "approvals/counting.py",
        " and request.lapses_at > vote.cast_at:\n", ":\n",
        "a card of last month is approved by accident",
        f"{WORKFLOW}::test_a_vote_after_the_question_lapsed_does_not_count",
    ),
    planted(
        "what was left to a grant is void with it", "approvals/provisioning.py",
        "        if left_to(w.session, [grant.id]):\n", "        if False:\n",
        "of two grants of the same one relied on the other, which was never given, and nobody takes the access away",
        "tests/approvals/test_ending.py::"
        "test_what_an_earlier_grant_left_to_one_that_is_never_given_is_taken_all_the_same",
    ),
    planted(
        "what is being taken waits for its time", "approvals/overdue.py",
        "    return now if grant.status == GrantStatus.ENDING or grant.ends_at is None else max(grant.ends_at, now)\n",
        "    return now if grant.ends_at is None else max(grant.ends_at, now)\n",
        "a gift in doubt, and one given back while Atlassian was away, are held as long as they were to be at first",
        "tests/approvals/test_overdue.py::test_an_end_that_began_early_goes_on_after_a_start",
    ),
    # -- what is said -------------------------------------------------------------------------------------------------
    planted(
        "one field is not escaped", "handlers/news.py",
        '    by, why = esc(view.name(facts["by"])), esc(facts["reason"] or NO_REASON, 2000)\n',
        '    by, why = esc(view.name(facts["by"])), str(facts["reason"] or NO_REASON)[:2000]\n',
        "a reason becomes a link to approve something else",
        "tests/handlers/test_every_field.py",
    ),
    planted(
        "an answer that is early", "bot/private_answers.py",
        "if not wanted.before and self.store.now() - preview.at < OPENS:", "if False:",
        "whoever looks has an empty window before them, for Slack was slower than the record",
        "tests/handlers/test_private.py::"
        "test_a_window_that_slack_opens_later_than_it_could_be_filled_is_filled_all_the_same",
    ),
    planted(
        "a formula in a table", "handlers/bulk_result.py",
        "    return f\"'{text}\" if bare.startswith(RUNS) or text.startswith(RUNS) else text\n", "    return text\n",
        "a reason that begins with = runs on the auditor's machine",
        "tests/bot/record/test_exports.py::test_no_cell_of_the_table_is_a_formula",
    ),
)  # fmt: skip
