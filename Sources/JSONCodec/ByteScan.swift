/// Sixteen bytes at a time.
///
/// Only operators between two vectors of `UInt8` are used: with a scalar on one side, or on `Int8`,
/// the compiler of Swift 6.3 takes the vector apart lane by lane, some 200 times slower. Masks are
/// turned into vectors of 0x00 and 0xFF by `replacing`, which beats combining them as masks.
typealias Block = SIMD16<UInt8>

@inline(__always)
func loadBlock(_ base: UnsafeRawPointer, _ offset: Int) -> Block {
    base.loadUnaligned(fromByteOffset: offset, as: Block.self)
}

/// 0xFF in every lane that equals `byte`.
@inline(__always)
func lanes(of block: Block, equalTo byte: UInt8) -> Block {
    Block(repeating: 0).replacing(
        with: Block(repeating: 0xFF), where: block .== Block(repeating: byte))
}

/// 0xFF in every lane below `bound`.
@inline(__always)
func lanes(of block: Block, below bound: UInt8) -> Block {
    Block(repeating: 0).replacing(
        with: Block(repeating: 0xFF), where: block .< Block(repeating: bound))
}

/// 0xFF in every lane that is not ASCII or is a control character (below the space).
@inline(__always)
func lanesOutsideText(of block: Block) -> Block {
    Block(repeating: 0).replacing(
        with: Block(repeating: 0xFF),
        where: block &- Block(repeating: 0x20) .>= Block(repeating: 0x60))
}

/// The first lane that is not zero; nil when all are.
@inline(__always)
func firstLane(_ lanes: Block) -> Int? {
    let words = unsafeBitCast(lanes, to: SIMD2<UInt64>.self)
    if words[0] != 0 { return words[0].littleEndian.trailingZeroBitCount &>> 3 }
    if words[1] != 0 { return 8 &+ words[1].littleEndian.trailingZeroBitCount &>> 3 }
    return nil
}
