extension RequestHead {
    /// Fills in what the fields mean, or says why the request cannot be taken.
    @inline(__always)
    mutating func interpret(
        _ base: UnsafeRawPointer, _ context: HTTPCodecContext
    ) -> HTTPCodecError? {
        method = RequestMethod(base + Int(methodStart), count: Int(methodCount))
        guard readTarget(base) else {
            return HTTPCodecError(request: .invalidTarget, offset: Int(targetStart))
        }
        var analysis = FieldAnalysis(readsHost: true)
        analysis.run(base, UnsafePointer(context.lines), Int(fieldCount))
        if let (reason, offset) = analysis.failure {
            return HTTPCodecError(request: reason, offset: offset)
        }
        // HTTP/1.0 closes unless asked not to; 1.1 keeps unless asked not to; close wins (§9.3).
        keepsAlive = !analysis.closes && (minorVersion > 0 || analysis.keepsAlive)
        if let error = checkHost(base, analysis) { return error }
        return readFraming(analysis, context.limits)
    }

    /// RFC 9112 §6.3 for requests.
    private mutating func readFraming(
        _ analysis: FieldAnalysis, _ limits: HTTPLimits
    ) -> HTTPCodecError? {
        if analysis.coding != .none {
            if let reason = analysis.codingFailure(minorVersion: minorVersion) {
                return HTTPCodecError(request: reason, offset: analysis.codingOffset)
            }
            framing = .chunked
        } else if let length = analysis.contentLength, length > 0 {
            if length > limits.maximumBodyBytes {
                return HTTPCodecError(request: .bodyTooLarge, offset: Int(byteCount))
            }
            framing = .contentLength(length)
        }
        if analysis.expectsOther {
            return HTTPCodecError(request: .unsupportedExpectation, offset: Int(byteCount))
        }
        // An HTTP/1.0 client cannot mean it (RFC 9110 §10.1.1).
        expectsContinue = analysis.expectsContinue && minorVersion > 0 && framing != .none
        return nil
    }

    /// RFC 9112 §3.2: exactly one in 1.1, and a valid one wherever there is one.
    @inline(__always)
    private func checkHost(
        _ base: UnsafeRawPointer, _ analysis: FieldAnalysis
    ) -> HTTPCodecError? {
        guard let host = analysis.host else {
            return minorVersion == 0
                ? nil : HTTPCodecError(request: .missingHost, offset: Int(byteCount))
        }
        let value = base + Int(host.valueStart)
        let readable = Int(byteCount) - Int(host.valueStart)
        let count = Int(host.valueCount)
        if Authority.isValid(value, count: count, readable: readable, mayBeEmpty: true) {
            return nil
        }
        return HTTPCodecError(request: .invalidHost, offset: Int(host.valueStart))
    }

    /// Tells the four forms apart (RFC 9112 §3.2); the characters have been checked already.
    @inline(__always)
    private mutating func readTarget(_ base: UnsafeRawPointer) -> Bool {
        let target = base + Int(targetStart)
        let first = target.load(as: UInt8.self)
        if method != .connect, first == UInt8(ascii: "/") {
            targetForm = .origin
            return true
        }
        return readOtherTarget(target, first)
    }

    private mutating func readOtherTarget(_ target: UnsafeRawPointer, _ first: UInt8) -> Bool {
        let count = Int(targetCount)
        if method == .connect {
            targetForm = .authority
            return Authority.isValid(target, count: count, readable: count, mayBeEmpty: false)
        }
        if first == UInt8(ascii: "*") {
            targetForm = .asterisk
            return count == 1 && method == .options
        }
        targetForm = .absolute
        let schemeEnd: Int
        if count > 7, ByteScan.matches(target, count: 7, "http://") {
            schemeEnd = 7
        } else if count > 8, ByteScan.matches(target, count: 8, "https://") {
            schemeEnd = 8
        } else {
            return false
        }
        var end = schemeEnd
        while end < count {
            let byte = target.load(fromByteOffset: end, as: UInt8.self)
            if byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") { break }
            end &+= 1
        }
        let host = end - schemeEnd
        return Authority.isValid(
            target + schemeEnd, count: host, readable: host, mayBeEmpty: false)
    }
}

extension FieldAnalysis {
    /// What is wrong with a message that has the field Transfer-Encoding.
    fileprivate func codingFailure(minorVersion: UInt8) -> HTTPCodecError.Reason? {
        if contentLength != nil { return .contentLengthWithTransferEncoding }
        if minorVersion == 0 { return .transferEncodingInHTTP10 }
        switch coding {
        case .none, .chunked: return nil
        case .unknown: return .unsupportedTransferCoding
        case .empty, .malformed: return .malformedTransferEncoding
        }
    }
}

extension ResponseHead {
    /// RFC 9112 §6.3 for responses: which rule delimits the content.
    mutating func interpret(
        _ base: UnsafeRawPointer, to method: RequestMethod, _ context: HTTPCodecContext
    ) -> HTTPCodecError? {
        var analysis = FieldAnalysis(readsHost: false)
        analysis.run(base, UnsafePointer(context.lines), Int(fieldCount))
        if let (reason, offset) = analysis.failure {
            return HTTPCodecError(response: reason, offset: offset)
        }
        keepsAlive = !analysis.closes && (minorVersion > 0 || analysis.keepsAlive)
        declaredLength = analysis.contentLength
        // These end with their head whatever their fields say.
        if isInformational || status == 204 || status == 304 || method == .head { return nil }
        if analysis.coding != .none {
            if let reason = analysis.codingFailure(minorVersion: minorVersion) {
                return HTTPCodecError(response: reason, offset: analysis.codingOffset)
            }
            framing = .chunked
        } else if let length = analysis.contentLength {
            if length > context.limits.maximumBodyBytes {
                return HTTPCodecError(response: .bodyTooLarge, offset: Int(byteCount))
            }
            framing = length == 0 ? .none : .contentLength(length)
        } else {
            framing = .untilClose
            keepsAlive = false
        }
        return nil
    }
}

extension RequestMethod {
    /// Methods are compared with case (RFC 9110 §9.1).
    @inline(__always)
    init(_ base: UnsafeRawPointer, count: Int) {
        func byte(_ index: Int) -> UInt8 { base.load(fromByteOffset: index, as: UInt8.self) }
        if count == 3, byte(0) == 0x47, byte(1) == 0x45, byte(2) == 0x54 {
            self = .get
        } else {
            self = Self.other(base, count)
        }
    }

    private static func other(_ base: UnsafeRawPointer, _ count: Int) -> RequestMethod {
        func isWord(_ word: StaticString) -> Bool {
            var index = 0
            while index < count,
                base.load(fromByteOffset: index, as: UInt8.self)
                    == word.utf8Start[index]
            {
                index &+= 1
            }
            return index == count
        }
        switch count {
        case 3 where isWord("PUT"): return .put
        case 4 where isWord("POST"): return .post
        case 4 where isWord("HEAD"): return .head
        case 5 where isWord("PATCH"): return .patch
        case 5 where isWord("TRACE"): return .trace
        case 6 where isWord("DELETE"): return .delete
        case 7 where isWord("OPTIONS"): return .options
        case 7 where isWord("CONNECT"): return .connect
        default: return .other
        }
    }
}

/// uri-host [ ":" port ] (RFC 3986 §3.2.2, §3.2.3), without user information.
enum Authority {
    /// - Parameter readable: how many bytes may be looked at from `base` on; at least `count`.
    static func isValid(
        _ base: UnsafeRawPointer, count: Int, readable: Int, mayBeEmpty: Bool
    ) -> Bool {
        func byte(_ index: Int) -> UInt8 { base.load(fromByteOffset: index, as: UInt8.self) }
        if count == 0 { return mayBeEmpty }
        if isPlain(base, count: count, readable: readable) { return true }
        var index = 0
        if byte(0) == UInt8(ascii: "[") {
            index = 1
            while index < count, isLiteral(byte(index)) { index &+= 1 }
            // "::" is the shortest address.
            guard index < count, index >= 3, byte(index) == UInt8(ascii: "]") else { return false }
            index &+= 1
        } else {
            while index < count, isName(byte(index)) {
                if byte(index) == UInt8(ascii: "%") {
                    guard index &+ 2 < count, ByteScan.hexValue(byte(index &+ 1)) != nil,
                        ByteScan.hexValue(byte(index &+ 2)) != nil
                    else { return false }
                }
                index &+= 1
            }
            if index == 0 { return false }
        }
        if index == count { return true }
        guard byte(index) == UInt8(ascii: ":") else { return false }
        index &+= 1
        while index < count, ByteScan.isDigit(byte(index)) { index &+= 1 }
        return index == count
    }

    /// Letters, digits, "-" and ".", then perhaps a port: what nearly every authority is.
    @inline(__always)
    private static func isPlain(
        _ base: UnsafeRawPointer, count: Int, readable: Int
    ) -> Bool {
        var index = min(ByteScan.endOfHostName(base, readable: readable), count)
        if index == count { return true }
        guard index > 0, base.load(fromByteOffset: index, as: UInt8.self) == 0x3A else {
            return false
        }
        index &+= 1
        while index < count, ByteScan.isDigit(base.load(fromByteOffset: index, as: UInt8.self)) {
            index &+= 1
        }
        return index == count
    }

    /// unreserved, sub-delims and "%".
    @inline(__always)
    private static func isName(_ byte: UInt8) -> Bool {
        // 0x20–0x3F: ! $ % & ' ( ) * + , - . 0–9 ; =      0x40–0x7F: A–Z _ a–z ~
        let low: UInt64 = 0x2BFF_7FF2_0000_0000
        let high: UInt64 = 0x47FF_FFFE_87FF_FFFE
        if byte >= 0x80 { return false }
        return ((byte < 0x40 ? low : high) >> UInt64(byte & 0x3F)) & 1 != 0
    }

    /// Addresses of version 6, and the unreserved and ":" of a later version.
    @inline(__always)
    private static func isLiteral(_ byte: UInt8) -> Bool {
        ByteScan.hexValue(byte) != nil || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
    }
}
