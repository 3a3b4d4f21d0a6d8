"""What the gateway offers on the machine itself: a status socket for `edge-agent status`, metrics for Prometheus."""
