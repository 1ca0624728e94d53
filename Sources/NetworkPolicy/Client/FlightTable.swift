import Pacing

/// One probe under way.
struct Flight: Sendable {
    var start = Instant(nanoseconds: 0)
    /// Its timeout counts from here: its start, or later where this process was late.
    var clock = Instant(nanoseconds: 0)
    var connectNanoseconds: UInt64 = 0
    var target: Int32 = -1
    /// Neighbours in the order of launch, among patient or impatient flights; `next` also links
    /// free places.
    fileprivate var previous = FlightTable.none
    fileprivate var next = FlightTable.none
    /// Neighbours among the flights of the same target.
    fileprivate var olderSibling = FlightTable.none
    fileprivate(set) var youngerSibling = FlightTable.none
    var isConnected = false
    var retransmitted = false
    /// The target's name is being looked up: no SYN was sent yet.
    var isResolving = false
    /// May use up its timeout even when slots are short.
    fileprivate(set) var isPatient = false

    var isFree: Bool { target < 0 }

    mutating func setConnected(retransmitted: Bool, now: Instant) {
        isConnected = true
        self.retransmitted = retransmitted
        connectNanoseconds = UInt64(clamping: (now - start).nanoseconds)
    }

    /// Its SYN, or its request, has left this machine.
    ///
    /// - Parameter isLate: the process was stopped or busy before. The clock starts anew: what it
    ///   slept through, or waited for a resolver, is not held against the target.
    mutating func sent(isLate: Bool, now: Instant) {
        if restartsClock(isLate: isLate, now: now) { clock = now }
        isResolving = false
    }

    fileprivate func restartsClock(isLate: Bool, now: Instant) -> Bool {
        let due = start.nanoseconds &+ connectNanoseconds &+ UInt64(Punctuality.grain.nanoseconds)
        return isLate || isResolving || now.nanoseconds > due
    }
}

/// The probes under way: by number, by age, and by target, all O(1) and without allocation once the
/// table has grown to what a run needs.
struct FlightTable: Sendable {
    static let none: Int32 = -1

    private struct List: Sendable {
        var head = FlightTable.none
        var tail = FlightTable.none
    }

    private var flights: [Flight] = []
    private var free = none
    private var impatient = List()
    private var patient = List()
    /// The oldest and youngest flight of every target.
    private var siblings: [List]
    private(set) var count = 0

    init(targets: Int) {
        siblings = [List](repeating: List(), count: targets)
    }

    /// The flight of that number; nil when it has ended, so that late news of it is harmless.
    subscript(number: Int) -> Flight? {
        guard flights.indices.contains(number), !flights[number].isFree else { return nil }
        return flights[number]
    }

    /// A flight that stands is given up for no other: it joins the patient ones, by its clock.
    mutating func setConnected(_ number: Int, retransmitted: Bool, now: Instant) {
        unlink(number)
        flights[number].setConnected(retransmitted: retransmitted, now: now)
        flights[number].isPatient = true
        link(number)
    }

    /// See ``Flight/sent(isLate:now:)``.
    mutating func setSent(_ number: Int, isLate: Bool, now: Instant) {
        guard flights[number].restartsClock(isLate: isLate, now: now) else { return }
        unlink(number)
        flights[number].sent(isLate: isLate, now: now)
        link(number)
    }

    mutating func setResolving(_ number: Int) {
        flights[number].isResolving = true
    }

    mutating func open(target: Int, patient isPatient: Bool, now: Instant) -> Int {
        let number: Int32
        if free != FlightTable.none {
            number = free
            free = flights[Int(number)].next
        } else {
            number = Int32(flights.count)
            flights.append(Flight())
        }
        var flight = Flight()
        flight.start = now
        flight.clock = now
        flight.target = Int32(target)
        flight.isPatient = isPatient
        flight.olderSibling = siblings[target].tail
        flights[Int(number)] = flight
        link(Int(number))
        if flight.olderSibling != FlightTable.none {
            flights[Int(flight.olderSibling)].youngerSibling = number
        } else {
            siblings[target].head = number
        }
        siblings[target].tail = number
        count += 1
        return Int(number)
    }

    mutating func close(_ number: Int) {
        unlink(number)
        let flight = flights[number]
        let target = Int(flight.target)
        if flight.olderSibling != FlightTable.none {
            flights[Int(flight.olderSibling)].youngerSibling = flight.youngerSibling
        } else {
            siblings[target].head = flight.youngerSibling
        }
        if flight.youngerSibling != FlightTable.none {
            flights[Int(flight.youngerSibling)].olderSibling = flight.olderSibling
        } else {
            siblings[target].tail = flight.olderSibling
        }
        flights[number] = Flight()
        flights[number].next = free
        free = Int32(number)
        count -= 1
    }

    /// Puts a flight into its list, behind all whose clock began before. A new one belongs at the
    /// end; one that has just connected is looked for a place from there.
    private mutating func link(_ number: Int) {
        let (clock, isPatient) = (flights[number].clock, flights[number].isPatient)
        var list = isPatient ? patient : impatient
        var previous = list.tail
        while previous != FlightTable.none, flights[Int(previous)].clock > clock {
            previous = flights[Int(previous)].previous
        }
        let next = previous == FlightTable.none ? list.head : flights[Int(previous)].next
        flights[number].previous = previous
        flights[number].next = next
        if previous == FlightTable.none {
            list.head = Int32(number)
        } else {
            flights[Int(previous)].next = Int32(number)
        }
        if next == FlightTable.none {
            list.tail = Int32(number)
        } else {
            flights[Int(next)].previous = Int32(number)
        }
        if isPatient { patient = list } else { impatient = list }
    }

    private mutating func unlink(_ number: Int) {
        let flight = flights[number]
        var list = flight.isPatient ? patient : impatient
        if flight.previous == FlightTable.none {
            list.head = flight.next
        } else {
            flights[Int(flight.previous)].next = flight.next
        }
        if flight.next == FlightTable.none {
            list.tail = flight.previous
        } else {
            flights[Int(flight.next)].previous = flight.previous
        }
        if flight.isPatient { patient = list } else { impatient = list }
    }

    /// The flight whose timeout comes first; nil when there is none.
    var oldest: Int? {
        let (a, b) = (patient.head, impatient.head)
        if a == FlightTable.none { return b == FlightTable.none ? nil : Int(b) }
        if b == FlightTable.none { return Int(a) }
        return flights[Int(a)].clock <= flights[Int(b)].clock ? Int(a) : Int(b)
    }

    /// The oldest flight of a target; nil when it has none.
    func oldest(of target: Int) -> Int? {
        siblings[target].head == FlightTable.none ? nil : Int(siblings[target].head)
    }

    /// The flight to give up for a fresh probe of `target`: the oldest impatient one of its own,
    /// else of all. Nil when neither's SYN had left by `latest`.
    func replaceable(for target: Int, launchedBy latest: Instant) -> Int? {
        var next = siblings[target].head
        while next != FlightTable.none, flights[Int(next)].start <= latest {
            let flight = flights[Int(next)]
            if !flight.isPatient, flight.clock <= latest { return Int(next) }
            next = flights[Int(next)].youngerSibling
        }
        guard impatient.head != FlightTable.none, flights[Int(impatient.head)].clock <= latest
        else {
            return nil
        }
        return Int(impatient.head)
    }

    /// When the SYN of the oldest impatient flight left: the first that may be replaced.
    var oldestImpatientStart: Instant? {
        impatient.head == FlightTable.none ? nil : flights[Int(impatient.head)].clock
    }
}
