"""TALK: the menu, the commands, the buttons, the forms and the cards. Knows Slack's words, nothing of processes."""
