def small(o): return {}
large = broken = small
