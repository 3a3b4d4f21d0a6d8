"""What the gateway offers on its machine and to the controllers beside it; the control loop waits for none of it.

status, metrics     how the agent is: a socket for `edge-agent status`, figures for Prometheus
registers, modbus   the map of registers, and the Modbus server that shows it (slots: what each number means)
mqtt                estimates and decisions as topics (telling: their words, which the status has too)
stream, client      the gRPC service on a Unix socket, and the verbs' way to it
door                where a running agent is asked to change its models
"""
