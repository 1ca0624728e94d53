// The room HTTPCodec.
