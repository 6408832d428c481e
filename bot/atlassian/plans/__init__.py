"""What the bot would do at Atlassian, planned from what is read there, and done step by step."""
