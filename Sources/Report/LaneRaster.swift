/// A lane reduced to columns of equal time, each with the share of every category in it.
struct LaneRaster {
    /// How finely the height of a lane is divided among categories that take turns.
    static let levels = 6
    /// A column with so much of one category is all of that category.
    private static let purity = 0.9
    /// Columns in which categories take turns are averaged in so many at a time, so that the
    /// picture shows the shares and not the dice.
    private static let mixture = 8

    /// What a moment counts for in its column.
    private static let leastShare = 1e-6

    /// For each column the time of each category in it, as a share of the column.
    private let shares: [[Double]]

    init(_ segments: [LaneChart.Segment], categories: Int, axis: TimeAxis, columns: Int) {
        var shares = Array(repeating: Array(repeating: 0.0, count: categories), count: columns)
        for segment in segments {
            guard segment.category >= 0, segment.category < categories, segment.end >= segment.start
            else { continue }
            let start = axis.fraction(segment.start) * Double(columns)
            let end = axis.fraction(segment.end) * Double(columns)
            var column = min(Int(start), columns - 1)
            if segment.start == segment.end {
                // A single answer has no length, and is seen all the same.
                shares[column][segment.category] += Self.leastShare * segment.share
            }
            while column < columns, Double(column) < end {
                let covered = min(end, Double(column + 1)) - max(start, Double(column))
                shares[column][segment.category] += covered * segment.share
                column += 1
            }
        }
        self.shares = shares
    }

    /// What is drawn of a category: columns from `first` up to `end`, levels from `low` to `high`.
    struct Block: Equatable {
        var category: Int
        var first: Int
        var end: Int
        var low: Int
        var high: Int
    }

    /// From left to right, and from top to bottom; neighbours that look the same are one block.
    var blocks: [Block] {
        let looks = looks
        var blocks: [Block] = []
        var first = 0
        while first < looks.count {
            var end = first + 1
            while end < looks.count, looks[end] == looks[first] { end += 1 }
            var low = 0
            for (category, levels) in looks[first].enumerated() where levels > 0 {
                blocks.append(
                    Block(category: category, first: first, end: end, low: low, high: low + levels))
                low += levels
            }
            first = end
        }
        return blocks
    }

    /// One path for each category that occurs.
    func paths(top: Double, height: Double) -> [(category: Int, path: String)] {
        let width = ChartFrame.stretchedWidth / Double(max(1, shares.count))
        let level = height / Double(Self.levels)
        var paths: [Int: String] = [:]
        for block in blocks {
            let x = svg(Double(block.first) * width)
            let y = svg(top + Double(block.low) * level)
            let across = svg(Double(block.end - block.first) * width)
            let down = svg(Double(block.high - block.low) * level)
            paths[block.category, default: ""] += "M\(x) \(y)h\(across)v\(down)h-\(across)z"
        }
        return paths.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// For each column how many levels every category has; all zero where nothing answered.
    private var looks: [[Int]] {
        let pure = shares.map(Self.pureCategory)
        var looks = shares.indices.map { column -> [Int] in
            var levels = Array(repeating: 0, count: shares[column].count)
            if let category = pure[column] { levels[category] = Self.levels }
            return levels
        }
        var first = 0
        while first < shares.count {
            guard pure[first] == nil, shares[first].contains(where: { $0 > 0 }) else {
                first += 1
                continue
            }
            var end = first + 1
            while end < min(shares.count, first + Self.mixture), pure[end] == nil,
                shares[end].contains(where: { $0 > 0 })
            { end += 1 }
            let levels = Self.levels(of: shares[first..<end], isAlone: end == first + 1)
            for column in first..<end { looks[column] = levels }
            first = end
        }
        return looks
    }

    private static func pureCategory(_ shares: [Double]) -> Int? {
        let sum = shares.reduce(0, +)
        guard sum > 0.1 else { return nil }
        return shares.firstIndex { $0 >= sum * purity }
    }

    /// A single column between two categories is the moment of the change, not a mixture.
    private static func levels(of columns: ArraySlice<[Double]>, isAlone: Bool) -> [Int] {
        guard let first = columns.first else { return [] }
        let sums = first.indices.map { category in columns.reduce(0) { $0 + $1[category] } }
        let total = sums.reduce(0, +)
        guard let largest = sums.max(), total > 0 else { return first.map { _ in 0 } }
        if isAlone {
            let winner = sums.firstIndex(of: largest)
            return sums.indices.map { $0 == winner ? levels : 0 }
        }
        // The largest remainders get what rounding down leaves over, so that the lane is full.
        let exact = sums.map { $0 / total * Double(levels) }
        var rounded = exact.map { Int($0) }
        let order = exact.indices.sorted {
            exact[$0] - Double(rounded[$0]) > exact[$1] - Double(rounded[$1])
        }
        for index in order.prefix(levels - rounded.reduce(0, +)) { rounded[index] += 1 }
        return rounded
    }
}
