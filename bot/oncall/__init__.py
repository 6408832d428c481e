"""Who is on call, and whether an incident is open: Jira Service Management, PagerDuty or a file."""
