"""Models for gateways: from what was learned to a signed bundle."""
