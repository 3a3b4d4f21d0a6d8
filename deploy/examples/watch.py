"""Follow a gateway's decisions: python watch.py /run/citytwin/local.sock valve 'tank/*'   (pip install citytwin)"""

import sys
import time

import grpc

from protos import local_pb2, local_pb2_grpc


def main(socket: str, *points: str) -> None:
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        request = local_pb2.WatchRequest(points=points, least_ms=100)
        for tick in local_pb2_grpc.LocalStub(channel).Watch(request):
            now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            for one in tick.readings:
                usable = one.not_after_boottime_ns > now_ns  # if not: the controller's own fallback
                value = f"{one.value:g} {one.unit}" if usable else "do not use"
                print(tick.number, one.output or f"{one.device}/{one.point}", value, one.authority, one.why, flush=True)


main(*sys.argv[1:])
