// The room JSONCodec.
