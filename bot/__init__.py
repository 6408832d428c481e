"""RUN: settings, wiring, web, worker, the clients of Slack and Atlassian, the sandboxes, the command line."""
