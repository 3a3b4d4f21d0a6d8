"""The gateway: polls Modbus and MQTT devices, cleans what it reads, keeps every reading and syncs it."""
