"""Local stand-ins of Slack and Atlassian that speak the real protocols on loopback."""
