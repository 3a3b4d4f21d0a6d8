"""Who may see and do what: roles, users, sessions, tokens. No HTTP here: `aggregator/api` asks."""
