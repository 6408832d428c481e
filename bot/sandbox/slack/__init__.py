"""The Slack sandbox: one workspace, its Web API, its people and what each of them sees."""
