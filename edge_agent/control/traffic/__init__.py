"""The traffic law for one intersection: what a cabinet knows → what is asked of the cabinet.

    detections → queues → search → law → request        controller: the same as a kind of `[[controller]]`

junction     the site: lanes, their detectors' places, the stages that the cabinet has
queues       how many vehicles wait in each lane, when the next ones arrive, how fast a stage discharges them
search       stage sequences over a rolling horizon, by beam search
law          one request: call, hold or force off a stage; nothing while too little is seen

It never drives lamps and never counts out a yellow: minimum green, yellow and all-red are the cabinet's, read from it.
"""
