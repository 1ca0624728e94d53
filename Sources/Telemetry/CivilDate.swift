/// A day of the Gregorian calendar, counted both ways without any table or library.
///
/// Years are counted from March, so that the leap day is the last of its year, in eras of 400
/// years, which all have the same 146,097 days.
public struct CivilDate: Hashable, Sendable {
    /// Of the common era; 0 is 1 BC, as in ISO 8601.
    public var year: Int
    /// 1 to 12.
    public var month: Int
    /// 1 to 31.
    public var day: Int

    /// Does not check whether the calendar has this day: ``exists`` does.
    public init(year: Int, month: Int, day: Int) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// The day that lies `days` after 1970-01-01.
    public init(daysSinceEpoch days: Int) {
        let shifted = days + Self.daysFromEraToEpoch
        let era = shifted.floorDivided(by: Self.daysInEra)
        let dayOfEra = shifted - era * Self.daysInEra
        // Take out the leap days before this day: one in 4 years (1,460 days and one), none in 100
        // (36,524), one in 400 (146,096).
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153  // 153 days in any five months from March
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days from 1970-01-01 to this day; negative before it.
    public var daysSinceEpoch: Int {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear.floorDivided(by: 400)
        let yearOfEra = shiftedYear - era * 400
        let monthFromMarch = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * Self.daysInEra + dayOfEra - Self.daysFromEraToEpoch
    }

    /// Whether the calendar has this day.
    public var exists: Bool {
        guard 1...12 ~= month, day >= 1 else { return false }
        return day <= Self.daysInMonth(month, year: year)
    }

    private static func daysInMonth(_ month: Int, year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    private static let daysInEra = 146_097
    /// From 0000-03-01 to 1970-01-01.
    private static let daysFromEraToEpoch = 719_468
}

extension FixedWidthInteger {
    /// The quotient rounded towards minus infinity; `divisor` is positive.
    func floorDivided(by divisor: Self) -> Self {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
