/// One self-contained HTML page: no script, nothing that is fetched, readable on a wide screen, a
/// telephone and paper, in light and dark.
///
///     var page = Page(title: "Reload of nginx", subtitle: "10 clients for 8 s")
///     page.figures = [HeadlineFigure("requests", FigureText.count(41_234))]
///     page.sections = [Section("Timeline", [.lanes(chart), .table(events)])]
///     page.footer = Footer(version: "0.1.0", command: "sonde reload bench …", date: "2026-11-21")
///     try OutputFile(path: "report.html").write(page.html)
///
/// All text may come from outside: it is escaped, and a content security policy in the page forbids
/// scripts and requests besides.
public struct Page {
    /// What was measured.
    public var title: String
    /// How: one line.
    public var subtitle: String
    /// What a reader takes away, at the top.
    public var figures: [HeadlineFigure] = []
    /// In the order of the page.
    public var sections: [Section] = []
    /// Where the page comes from.
    public var footer = Footer()

    /// A page without content.
    public init(title: String, subtitle: String = "") {
        self.title = title
        self.subtitle = subtitle
    }

    /// The bytes of the file, UTF-8.
    public var html: [UInt8] {
        var markup = Markup()
        markup.raw("<!DOCTYPE html>\n")
        markup.element("html", ["lang": "en"]) { markup in
            markup.element("head") { writeHead(into: &$0) }
            markup.newline()
            markup.element("body") { markup in
                markup.element("header") { writeHeader(into: &$0) }
                markup.newline()
                markup.element("main") { markup in
                    for section in sections { section.write(into: &markup) }
                }
                footer.write(into: &markup)
            }
        }
        markup.newline()
        return markup.bytes
    }

    private func writeHead(into markup: inout Markup) {
        markup.void("meta", ["charset": "utf-8"])
        markup.void(
            "meta",
            [
                "http-equiv": "Content-Security-Policy",
                "content": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
            ])
        markup.void(
            "meta", ["name": "viewport", "content": "width=device-width, initial-scale=1"])
        markup.void("meta", ["name": "color-scheme", "content": "light dark"])
        // A browser asks for an icon unless the page has one.
        markup.void("link", ["rel": "icon", "href": "data:,"])
        markup.element("title", text: title)
        markup.style(Stylesheet.css)
    }

    private func writeHeader(into markup: inout Markup) {
        markup.element("h1", text: title)
        if !subtitle.isEmpty { markup.element("p", ["class": "subtitle"], text: subtitle) }
        guard !figures.isEmpty else { return }
        markup.element("dl", ["class": "figures"]) { markup in
            for figure in figures { figure.write(into: &markup) }
        }
    }
}

/// One of the few numbers that a reader takes away.
public struct HeadlineFigure: Hashable, Sendable {
    /// What it counts.
    public var label: String
    /// The number with its unit, as in ``FigureText``.
    public var value: String
    /// What it is to be compared with, or how sure it is; may be empty.
    public var detail: String
    /// Failures stand out.
    public var tone: Tone

    /// A figure under its label.
    public init(_ label: String, _ value: String, detail: String = "", tone: Tone = .plain) {
        self.label = label
        self.value = value
        self.detail = detail
        self.tone = tone
    }

    fileprivate func write(into markup: inout Markup) {
        markup.element("div", ["class": tone.name]) { markup in
            markup.element("dt", text: label)
            markup.element("dd") { markup in
                markup.element("b", text: value)
                if !detail.isEmpty { markup.element("span", text: detail) }
            }
        }
    }
}

/// Whether a figure is good news.
public enum Tone: Hashable, Sendable {
    case plain, good, bad

    var name: String {
        switch self {
        case .plain: "plain"
        case .good: "good"
        case .bad: "bad"
        }
    }
}

/// A part of a page under a heading of its own.
public struct Section {
    /// What a section is made of.
    public enum Block {
        /// A paragraph.
        case text(String)
        /// Who was connected to what, one lane a client.
        case lanes(LaneChart)
        /// A sum and its parts over time.
        case stacked(StackedSeriesChart)
        /// Percentiles over time.
        case latency(LatencyChart)
        /// How values are spread.
        case distribution(DistributionChart)
        /// Results with their bounds.
        case intervals(IntervalChart)
        /// Rows and columns.
        case table(Table)
    }

    /// The heading.
    public var title: String
    /// From top to bottom.
    public var blocks: [Block]

    /// A heading and what stands under it.
    public init(_ title: String, _ blocks: [Block]) {
        self.title = title
        self.blocks = blocks
    }

    fileprivate func write(into markup: inout Markup) {
        markup.element("section") { markup in
            markup.element("h2", text: title)
            for block in blocks {
                switch block {
                case .text(let text): markup.element("p", text: text)
                case .lanes(let chart): chart.write(into: &markup)
                case .stacked(let chart): chart.write(into: &markup)
                case .latency(let chart): chart.write(into: &markup)
                case .distribution(let chart): chart.write(into: &markup)
                case .intervals(let chart): chart.write(into: &markup)
                case .table(let table): table.write(into: &markup)
                }
                markup.newline()
            }
        }
        markup.newline()
    }
}

/// Where a page comes from, so that the run can be repeated.
public struct Footer: Hashable, Sendable {
    /// Of the program.
    public var version: String
    /// The command line that was given.
    public var command: String
    /// When the run began, RFC 3339.
    public var date: String
    /// What else must be known to judge the figures.
    public var notes: [String]

    /// Empty parts are left out.
    public init(
        version: String = "", command: String = "", date: String = "", notes: [String] = []
    ) {
        self.version = version
        self.command = command
        self.date = date
        self.notes = notes
    }

    fileprivate func write(into markup: inout Markup) {
        markup.element("footer") { markup in
            for note in notes { markup.element("p", text: note) }
            markup.element("p") { markup in
                markup.text(version.isEmpty ? "Sonde" : "Sonde \(version)")
                if !date.isEmpty {
                    markup.text(" · ")
                    markup.element("time", ["datetime": date], text: date)
                }
            }
            if !command.isEmpty { markup.element("pre", text: command) }
        }
        markup.newline()
    }
}
