"""Frames of one value, for tests of what reads them."""

import numpy as np

from edge_agent.image import Frame, Layout
from protos.clock import NS


def frame(layout: Layout, at_s: float, value: float, code: int = 0) -> Frame:
    at_ns = round(at_s * NS)
    return Frame(layout, at_ns, at_ns, np.array([value]), np.array([code], np.uint8) if code else None)
