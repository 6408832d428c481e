"""DECIDE: states, policy, workflow, the record and the work it causes. Knows no Slack and no HTTP."""
