"""The page, as files: HTML, style, modules, words, and vendored libraries with their licences and digests."""
