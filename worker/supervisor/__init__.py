"""`ops up`: the embedded stores and every process of the Procfile, started, watched, restarted and ended together."""
