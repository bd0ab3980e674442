"""What every HTTP request passes on its way in, in the web process and in the gateway: hosts, origins, bodies, headers."""
