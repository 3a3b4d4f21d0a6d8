"""What the gateway offers on the machine itself and to the controllers beside it; nothing here is waited for by the loop.

status, metrics     how the agent is: a socket for `edge-agent status`, figures for Prometheus
registers, modbus   the map of registers, and the Modbus server that shows it (slots: what each number means)
mqtt                estimates and decisions as topics (telling: their words, which the status has too)
stream, client      the gRPC service on a Unix socket, and the verbs' way to it
door                where a running agent is asked to change its models
"""
