import Foundation
import Testing

@testable import Report

@Suite struct PageTests {
    @Test("a page is well-formed, names its policy and asks for nothing")
    func wellFormed() {
        let page = text(SyntheticRun.examplePage)
        expectWellFormed(page)
        #expect(page.hasPrefix("<!DOCTYPE html>\n<html lang=\"en\">"))
        #expect(page.contains("default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;"))
        for word in ["<script", "src=", "@import", "url(", "href=\"http", "onload"] {
            #expect(!page.contains(word), "\(word)")
        }
        #expect(page.values(of: "href") == ["data:,"])
    }

    @Test("text from outside stays text, wherever it stands")
    func escaping() {
        let page = text(HardPage.html)
        expectWellFormed(page)
        #expect(!page.contains("<script"))
        #expect(!page.contains("<img"))
        #expect(!page.unicodeScalars.contains("\0"))
        let escaped =
            "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;"
            + "\u{FFFD}&#39;&quot;&amp;"
        #expect(page.contains("<title>\(escaped)unbreakable"))
        #expect(page.contains("<pre>\(escaped)</pre>"))
        #expect(page.contains(" datetime=\"\(escaped)\""))
        #expect(page.contains(" aria-label=\"\(escaped)\""))
    }

    @Test("control characters are replaced, tabs and line feeds kept, other scripts untouched")
    func scalars() {
        var markup = Markup()
        markup.text("a\u{1}\t\n\u{7F}\u{85}é漢🙂")
        #expect(text(markup.bytes) == "a\u{FFFD}\t\n\u{FFFD}\u{FFFD}é漢🙂")
    }

    @Test("every figure of the input is in the page, as it is read and as it is")
    func figures() {
        let run = SyntheticRun.example
        let counts = run.counts
        #expect(counts.failure == SyntheticRun.failures)
        #expect(counts.success + counts.failure == run.requests.count)
        let page = text(SyntheticRun.examplePage)
        for count in [counts.success, counts.failure, counts.frontChanged, counts.backChanged] {
            #expect(page.contains("<dd><b>\(FigureText.count(count))</b>"))
        }
        for instance in SyntheticRun.instances.indices {
            let own = run.requests.count { $0.instance == instance }
            #expect(page.contains("data-value=\"\(own)\">\(FigureText.count(own))</td>"))
        }
    }

    @Test("parts that are empty leave nothing behind")
    func empty() {
        let page = text(Page(title: "T").html)
        expectWellFormed(page)
        for word in ["<dl", "subtitle\"", "<section", "<pre", "<time"] {
            #expect(!page.contains(word), "\(word)")
        }
        #expect(text(.table(Table(columns: [.text("a")]))).contains("Nothing was recorded."))
    }

    @Test("a figure that is bad news is marked as such, in words for scripts as in colour")
    func tones() {
        var page = Page(title: "")
        page.figures = [HeadlineFigure("failure", "26", tone: .bad)]
        #expect(text(page.html).contains("<div class=\"bad\"><dt>failure</dt>"))
        let table = Table(
            columns: [.text("event"), .number("failures")],
            rows: [["reload", .count(1234, tone: .bad)]])
        #expect(
            text(.table(table)).contains(
                "<td class=\"number bad\" data-value=\"1234\">1,234</td>"))
    }

    @Test("names that elements refer to exist once")
    func identifiers() {
        let page = text(SyntheticRun.examplePage)
        let names = page.values(of: "id")
        #expect(Set(names).count == names.count)
        for reference in page.values(of: "aria-labelledby") {
            for name in reference.split(separator: " ") {
                #expect(names.contains(String(name)), "\(name)")
            }
        }
        #expect(page.count(of: "role=\"img\"") == page.count(of: "<desc"))
        #expect(page.count(of: "<desc") == 4)
    }

    @Test("the names of events are listed once for charts that follow with the same")
    func eventLists() {
        #expect(text(SyntheticRun.examplePage).count(of: "<ol class=\"events\">") == 1)
    }
}
