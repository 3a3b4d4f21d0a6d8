"""The record that nobody can rewrite: a Merkle log of what was decided, ordered, changed and measured.

    entry         what is written: canonical JSON of an audit row, or of a batch's digest
    tree          the tree's right edge, as it grows
    book          the ledger itself: appends, signs, proves
    policy        whose cosignatures make a checkpoint good
    receipt       the proof of one entry, to be checked without us
    verification  everything again from the data, and every hash and signature
    keys          the log's own key

Formats are C2SP's (tlog-tiles, signed-note, tlog-checkpoint, tlog-cosignature, tlog-policy, tlog-proof).
"""
