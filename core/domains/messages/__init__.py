"""Messages to people: Slack posts and mail. Nothing else sends any."""
