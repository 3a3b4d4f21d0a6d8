"""The gateway: polls Modbus and MQTT devices, cleans what it reads, keeps every reading and syncs it."""

import os

# before numpy: the small matrices of a gateway gain nothing from more, and they would disturb the control loop
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
