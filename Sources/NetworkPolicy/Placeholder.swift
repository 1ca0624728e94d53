// The room NetworkPolicy.
