"""A mail server: hand one mail over to it. No rule about whom to write to."""
