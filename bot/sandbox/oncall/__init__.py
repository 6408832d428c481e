"""The stand-in for PagerDuty, Jira Service Management Operations and the incidents of a Jira site."""
