/// Rows and columns; wider than the page, it scrolls on its own.
public struct Table: Hashable, Sendable {
    /// One column with its unit.
    public struct Column: Hashable, Sendable {
        /// The heading.
        public var title: String
        /// Under the heading; may be empty.
        public var unit: String
        /// Numbers are aligned on the right.
        public var isNumeric: Bool

        /// A column of numbers.
        public static func number(_ title: String, unit: String = "") -> Column {
            Column(title: title, unit: unit, isNumeric: true)
        }

        /// A column of words.
        public static func text(_ title: String) -> Column {
            Column(title: title, unit: "", isNumeric: false)
        }
    }

    /// One entry.
    public struct Cell: Hashable, Sendable, ExpressibleByStringLiteral {
        /// As read by people.
        public var text: String
        /// The plain number, for scripts that read the page; may be empty.
        public var value: String
        /// Failures stand out.
        public var tone: Tone

        /// Words, or a number already in the form in which it is read.
        public init(_ text: String, value: String = "", tone: Tone = .plain) {
            self.text = text
            self.value = value
            self.tone = tone
        }

        /// Words.
        public init(stringLiteral text: String) { self.init(text) }

        /// A whole number, thousands grouped.
        public static func count(_ count: Int, tone: Tone = .plain) -> Cell {
            Cell(FigureText.count(count), value: "\(count)", tone: tone)
        }

        /// A length of time with its unit; its plain value is in seconds.
        public static func duration(_ duration: Duration?, tone: Tone = .plain) -> Cell {
            let value = duration.map { "\($0.inSeconds)" } ?? ""
            return Cell(FigureText.duration(duration), value: value, tone: tone)
        }

        /// A moment of a run, to the millisecond; its plain value is in seconds.
        public static func moment(_ moment: Duration?) -> Cell {
            Cell(FigureText.moment(moment), value: moment.map { "\($0.inSeconds)" } ?? "")
        }

        /// A share of one as percent.
        public static func percent(_ share: Double, tone: Tone = .plain) -> Cell {
            Cell(FigureText.percent(share), value: "\(share)", tone: tone)
        }
    }

    /// What the table shows, in a line; may be empty.
    public var caption: String
    /// From left to right; the first names the row.
    public var columns: [Column]
    /// As many cells in each as there are columns.
    public var rows: [[Cell]]
    /// Stands in place of rows where there are none.
    public var emptyText: String

    /// A table; rows may be added later.
    public init(
        caption: String = "", columns: [Column], rows: [[Cell]] = [],
        emptyText: String = "Nothing was recorded."
    ) {
        self.caption = caption
        self.columns = columns
        self.rows = rows
        self.emptyText = emptyText
    }

    func write(into markup: inout Markup) {
        // Reachable by keyboard, as it may have to be scrolled.
        let name = caption.isEmpty ? "Table" : caption
        markup.element(
            "div", ["class": "scroll", "tabindex": "0", "role": "region", "aria-label": name]
        ) { markup in
            markup.element("table") { markup in
                if !caption.isEmpty { markup.element("caption", text: caption) }
                markup.element("thead") { markup in
                    markup.element("tr") { markup in
                        for column in columns { column.write(into: &markup) }
                    }
                }
                markup.element("tbody") { writeRows(into: &$0) }
            }
        }
    }

    private func writeRows(into markup: inout Markup) {
        if rows.isEmpty {
            markup.element("tr") { markup in
                markup.element(
                    "td", ["colspan": "\(max(1, columns.count))", "class": "empty"],
                    text: emptyText)
            }
        }
        for row in rows {
            markup.element("tr") { markup in
                for (index, cell) in row.enumerated() {
                    let isNumeric = index < columns.count && columns[index].isNumeric
                    cell.write(into: &markup, isHeader: index == 0, isNumeric: isNumeric)
                }
            }
        }
    }
}

extension Table.Column {
    fileprivate func write(into markup: inout Markup) {
        markup.element("th", ["scope": "col", "class": isNumeric ? "number" : "words"]) { markup in
            markup.text(title)
            if !unit.isEmpty { markup.element("small", text: unit) }
        }
    }
}

extension Table.Cell {
    fileprivate func write(into markup: inout Markup, isHeader: Bool, isNumeric: Bool) {
        let style = "\(isNumeric ? "number" : "words")\(tone == .plain ? "" : " \(tone.name)")"
        if isHeader {
            markup.element("th", ["scope": "row", "class": style], text: text)
        } else if value.isEmpty {
            markup.element("td", ["class": style], text: text)
        } else {
            markup.element("td", ["class": style, "data-value": value], text: text)
        }
    }
}
