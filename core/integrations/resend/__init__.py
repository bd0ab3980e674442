"""Resend's API: send one mail. No rule about whom to write to."""
