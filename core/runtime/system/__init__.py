"""How the whole installation is doing: processes, stores, memory; read by `ops status`, `ops doctor` and the System page."""
