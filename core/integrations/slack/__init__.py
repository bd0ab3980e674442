"""Slack's Web API: post, find and delete a message. No rule about who may post what."""
