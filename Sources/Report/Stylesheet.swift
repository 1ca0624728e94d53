/// The looks of every page, in one place. Charts carry classes only.
enum Stylesheet {
    static let css = """
        :root{\(colours(light))}
        @media screen and (prefers-color-scheme:dark){:root{\(colours(dark))}}
        \(layout)
        \(charts)
        \(tints)
        \(narrow)
        \(paper)
        """

    /// Ground, ink and lines, then the tints. Ordered by how far apart they stay without red or
    /// green: neighbours in a legend are the ones that must be told apart.
    static let light = [
        ("ground", "#ffffff"), ("raised", "#f5f6f8"), ("ink", "#1b2330"), ("soft", "#5a6474"),
        ("rule", "#dfe3e8"), ("grid", "#eceff2"), ("track", "#f0f2f5"), ("event", "#4a5568"),
        ("good", "#1f7a5c"), ("sf", "#dc3220"), ("sn", "#989ca1"), ("s0", "#3f62ac"),
        ("s1", "#eba63c"), ("s2", "#63bde6"), ("s3", "#238a73"), ("s4", "#50347a"),
        ("s5", "#783a35"),
    ]
    static let dark = [
        ("ground", "#14171c"), ("raised", "#1c2027"), ("ink", "#e8ebf0"), ("soft", "#a0a9b6"),
        ("rule", "#333a45"), ("grid", "#242a33"), ("track", "#20252d"), ("event", "#b5bfcd"),
        ("good", "#5cc49d"), ("sf", "#f0452f"), ("sn", "#878a8f"), ("s0", "#4a8fe6"),
        ("s1", "#f0b84c"), ("s2", "#5fbdec"), ("s3", "#86eab8"), ("s4", "#8f5594"),
        ("s5", "#afad92"),
    ]

    private static func colours(_ values: [(String, String)]) -> String {
        values.map { "--\($0.0):\($0.1)" }.joined(separator: ";")
    }

    private static let layout = """
        *{box-sizing:border-box}
        html{-webkit-text-size-adjust:100%}
        body{margin:0 auto;max-width:1240px;padding:40px 32px 24px;background:var(--ground);\
        color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",\
        "DejaVu Sans",sans-serif;font-variant-numeric:tabular-nums}
        h1{margin:0;font-size:26px;line-height:1.25;font-weight:650;letter-spacing:-.01em}
        h2{margin:0 0 16px;padding-top:20px;border-top:1px solid var(--rule);font-size:19px;\
        font-weight:650}
        h3{margin:0;font-size:15px;font-weight:650}
        h1,h2,h3,p,dt,dd,li,th,td,figcaption{overflow-wrap:break-word}
        p{margin:0 0 16px;max-width:76ch}
        .subtitle{margin:6px 0 0;color:var(--soft)}
        section{margin:40px 0 0}
        .figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;\
        margin:28px 0 0}
        .figures div{padding:14px 16px;background:var(--raised);border-radius:8px}
        .figures dt{color:var(--soft);font-size:13px}
        .figures dd{margin:2px 0 0}
        .figures b{display:block;font-size:24px;line-height:1.3;font-weight:650;\
        letter-spacing:-.01em}
        .figures span{display:block;color:var(--soft);font-size:13px}
        .figures .bad b,.bad{color:var(--sf)}
        .figures .good b,.good{color:var(--good)}
        .figures .bad,.figures .good{color:inherit}
        .scroll{overflow-x:auto;margin:0 0 20px}
        table{border-collapse:collapse;width:max-content;min-width:100%;font-size:14px}
        caption{padding:0 0 6px;text-align:left;color:var(--soft);font-size:13px}
        th,td{padding:7px 12px;border-bottom:1px solid var(--rule);text-align:left;\
        vertical-align:baseline;font-weight:400}
        th:first-child,td:first-child{padding-left:0}
        tbody th:first-child{position:sticky;left:0;background:var(--ground)}
        th:last-child,td:last-child{padding-right:0}
        thead th{color:var(--soft);font-size:13px;font-weight:600;vertical-align:bottom}
        thead small{display:block;font-weight:400;font-size:12px}
        .number{text-align:right;white-space:nowrap}
        th.words,td.words{max-width:48ch}
        td.empty{color:var(--soft);text-align:center;padding:20px}
        details{margin:4px 0 0;font-size:13px}
        summary{color:var(--soft);cursor:pointer;width:max-content}
        details .scroll{margin-top:10px}
        footer{margin:44px 0 0;padding-top:16px;border-top:1px solid var(--rule);\
        color:var(--soft);font-size:13px}
        footer p{margin:0 0 6px}
        footer pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font:12px/1.5 \
        ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
        """

    private static let charts = """
        figure{margin:0 0 32px}
        figcaption p{margin:2px 0 0;color:var(--soft);font-size:13px}
        .legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0;padding:0;\
        list-style:none;font-size:13px}
        .legend li{display:flex;align-items:center;gap:7px}
        .legend i{flex:none;width:12px;height:12px;border-radius:2px;background:var(--t)}
        .legend i.line{height:3px;width:18px}
        .legend i.thinLine{height:1.5px;width:18px}
        .legend i.band{opacity:.25;width:18px}
        .legend i.dashes{height:1.5px;width:26px;border-radius:0;\
        background:repeating-linear-gradient(90deg,var(--ink) 0 6px,transparent 6px 10px)}
        .legend i.dot{width:7px;height:7px;border-radius:50%}
        .legend i.interval{width:2px;height:14px;border-radius:0}
        .legend i.gap{background:var(--track);box-shadow:0 0 0 1px var(--rule)}
        .legend i.tick{width:1.5px;height:8px;border-radius:0;background:var(--ink)}
        .legend i.failure{width:2.5px;height:16px;border-radius:0}
        .plot{margin-top:8px;padding:0 22px 0 58px}
        svg{display:block;overflow:visible}
        svg text{fill:var(--soft);font-size:12px}
        svg .grid line{stroke:var(--grid)}
        svg .base{stroke:var(--soft);stroke-opacity:.5}
        svg .y text,svg .lane-name{text-anchor:end}
        svg .x text,svg text.empty{text-anchor:middle}
        svg .axis.left{text-anchor:start}
        svg text.empty{font-size:14px}
        .stretched{overflow:visible}
        .stretched *{vector-effect:non-scaling-stroke}
        .track{fill:var(--track)}
        .fill{fill:var(--t);shape-rendering:crispEdges}
        .stroke{fill:none;stroke:var(--t);stroke-linejoin:round}
        .thin{stroke-width:1.25px}
        .stroke{stroke-width:2px}
        .stroke.thin{stroke-width:1.25px}
        .stroke.interval{stroke-width:2px}
        .band{fill:var(--t);opacity:.16}
        .gap{fill:var(--track)}
        .dots{fill:none;stroke:var(--t);stroke-width:4px;stroke-linecap:round}
        .reference{stroke:var(--ink);stroke-width:1.5px;stroke-dasharray:6 4}
        .mark{fill:none;stroke:var(--ink)}
        .mark.failure{stroke:var(--sf);stroke-width:2.5px}
        .mark.dot{stroke-width:6px;stroke-linecap:round}
        .mark.tick{stroke:var(--soft);stroke-width:1px}
        .event rect{fill:var(--event);opacity:.13}
        .event line{stroke:var(--event);stroke-width:1.25px;stroke-dasharray:3 3}
        path.event{stroke:var(--event);stroke-dasharray:3 3}
        .event.failed line{stroke:var(--sf)}
        .event.failed rect{fill:var(--sf)}
        .badge circle{fill:var(--event)}
        .badge.failed circle{fill:var(--sf)}
        .badge .n{fill:var(--ground);font-size:11px;font-weight:650;text-anchor:middle}
        .badge .name{fill:var(--ink)}
        .events{display:none;margin:4px 0 8px;padding:0 0 0 22px;font-size:13px}
        """

    /// Of anything that has one, by class.
    private static let tints =
        (["ink", "soft", "sf", "sn"] + (0..<Tint.seriesCount).map { "s\($0)" })
        .map { ".\($0){--t:var(--\($0))}" }.joined()

    private static let narrow = """
        @media (max-width:700px){
        body{padding:24px 16px 16px}
        h1{font-size:22px}
        .figures{grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:8px}
        .figures b{font-size:20px}
        .plot{padding:0 14px 0 50px}
        .fine{display:none}
        tr>:first-child.words{max-width:13em}
        }
        @media (max-width:1000px),print{
        .badge .name{display:none}
        .events{display:block}
        }
        """

    private static let paper = """
        @media print{
        @page{margin:14mm}
        *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
        body{max-width:none;padding:0;font-size:12px}
        section{margin:24px 0 0}
        figure{margin:0 0 20px}
        figure,tr,.figures div{break-inside:avoid}
        h2,h3,caption{break-after:avoid}
        details{display:none}
        .scroll{overflow:visible}
        table{width:100%;font-size:11px}
        th,td{padding:4px 7px}
        tbody th:first-child{position:static}
        }
        """
}
