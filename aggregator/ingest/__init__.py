"""The way in: one stream per gateway, checked, metered, made durable, acknowledged."""
