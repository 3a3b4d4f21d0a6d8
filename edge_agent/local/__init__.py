"""What the gateway offers on its machine and to the controllers beside it; the control loop waits for none of it.

status, metrics     how the agent is: a socket for `edge-agent status`, figures for Prometheus
registers, modbus   the map of registers, and the Modbus server that shows it (slots: what each number means)
mqtt                estimates and decisions as topics (telling: their words, which the status has too)
stream              the gRPC service on a Unix socket
door                where a running agent is asked to do something: to change its models,
hands               to let a person take an output over
"""
