"""What the lab, the tests of image, chart and pages, and the benchmarks share.

`processes` starts, awaits, asks and ends programs; `kernel` says what one holds and uses; `figures`
counts. Whoever is run directly puts `Tests/Support` on the path first.
"""
