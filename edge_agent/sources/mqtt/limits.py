"""Every limit of the MQTT source, each with its reason."""

PAYLOAD_MAX = 256 * 1024  # bytes of a message: a Sparkplug birth of 5,000 metrics has about 200 kB
DEPTH_MAX = 32  # of JSON: the deepest device we know has 7; deeper ones are attacks on the stack
READINGS_MAX = 10_000  # readings of one message (rows of CSV, metrics of Sparkplug)
TOPICS_MAX = 10_000  # topics remembered behind wildcards: about 2 MB
WINDOW_MAX = 10_000  # messages received and not yet durable; then the socket is no longer read
REPEATS_MAX = 512  # ids of uplinks remembered to know one that comes again
CONNECT_S = 10.0  # for CONNECT, SUBSCRIBE and PUBLISH to be answered
BACKOFF_S, BACKOFF_MAX_S = 1.0, 60.0  # before connecting again, full jitter below it
WRITE_S = 5.0  # until the state topic must show what was written
REBIRTH_S = 5.0  # least time between two rebirth requests to one Sparkplug node
