"""The aggregator: takes in every gateway, keeps one durable log and projects history and fleet from it."""
