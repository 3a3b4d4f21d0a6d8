"""The ledger: tree, book, policy, receipts, verification."""
