import Foundation

/// A page about a run that needs nothing else: curves, hyperparameters, throughput, configuration.
public enum RunReport {
    /// The page for a run directory.
    ///
    /// - Throws: ``TrainingError`` when the directory holds no run.
    public static func html(directory: String) throws -> String {
        let records = try RunRecords(directory: directory)
        let name = URL(fileURLWithPath: directory).standardizedFileURL.lastPathComponent
        var body = "<h1>\(HTML.escape(name))</h1>\n" + summary(records)
        for chart in charts(records) { body += chart.html }
        body += throughput(records)
        for table in try profiles(directory) { body += table.html }
        for (title, file) in [("Hyperparameters", "hparams.yaml"), ("Configuration", "config.yaml")] {
            guard let yaml = try? String(contentsOfFile: "\(directory)/\(file)", encoding: .utf8) else { continue }
            body += "<h2>\(title)</h2>\n" + table(try HyperparameterList(yaml: yaml))
        }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(HTML.escape(name))</title>
            <style>
            \(style)
            </style>
            </head>
            <body>
            \(body)</body>
            </html>

            """
    }

    /// Writes the page into the run directory as `report.html`, and returns its path.
    public static func write(directory: String) throws -> String {
        let path = directory + "/report.html"
        try html(directory: directory).write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private static func summary(_ records: RunRecords) -> String {
        guard let first = records.moments.first, let last = records.moments.last else {
            return "<p>Nothing was logged.</p>\n"
        }
        let samples = records.moments.map(\.samples).max() ?? 0
        let epochs = (records.moments.map(\.epoch).max() ?? 0) + 1
        let seconds = String(format: "%.1f", last.seconds)
        return """
            <p>\(epochs) epochs, \(last.step) optimizer steps, \(samples) samples; \
            logged from second \(String(format: "%.1f", first.seconds)) to second \(seconds).</p>

            """
    }

    /// Samples per second, as a curve and over the whole run.
    private static func throughput(_ records: RunRecords) -> String {
        guard let first = records.moments.first, let last = records.moments.last, !records.throughput.isEmpty else {
            return ""
        }
        let mean = Double(last.samples - first.samples) / (last.seconds - first.seconds)
        return
            "<h2>Throughput</h2>\n<p>\(Axis.label(mean)) samples per second from the first to the last value, validation "
            + "and checkpoints included.</p>\n"
            + CurveChart(title: "samples per second", curves: [("all ranks", records.throughput)]).html
    }

    /// What profilers have left, in the order in which stages come.
    private static func profiles(_ directory: String) throws -> [ProfileTable] {
        try RunStage.allCases.compactMap { stage in
            let path = "\(directory)/profile-\(stage.rawValue).json"
            guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
            do { return try JSON.decode(ProfileTable.self, from: text) } catch {
                throw TrainingError("\(path) is not a profile of this version; remove it")
            }
        }
    }

    /// One chart for each quantity: `train_loss_step`, `train_loss_epoch` and `val_loss` are all losses.
    private static func charts(_ records: RunRecords) -> [CurveChart] {
        var charts: [(title: String, curves: [(String, [RunRecords.Point])])] = []
        for (name, points) in records.series {
            let title = quantity(name)
            if let place = charts.firstIndex(where: { $0.title == title }) {
                charts[place].curves.append((name, points))
            } else {
                charts.append((title, [(name, points)]))
            }
        }
        return charts.map { CurveChart(title: $0.title, curves: $0.curves) }
    }

    static func quantity(_ name: String) -> String {
        var title = name[...]
        for stage in ["train", "validation", "val", "test"] {
            for mark in ["_", "/", "-"] where title.hasPrefix(stage + mark) { title = title.dropFirst(stage.count + 1) }
        }
        for suffix in ["_step", "_epoch"] where title.hasSuffix(suffix) { title = title.dropLast(suffix.count) }
        return title.isEmpty ? name : String(title)
    }

    private static func table(_ list: HyperparameterList) -> String {
        let rows = list.values.map {
            "<tr><th>\(HTML.escape($0.key))</th><td>\(HTML.escape($0.value.text))</td></tr>\n"
        }
        return "<table>\n\(rows.joined())</table>\n"
    }

    /// Colours of Okabe and Ito, which can be told apart by the colour-blind.
    private static let style = """
        :root { color-scheme: light dark; --line: #8884; }
        body { font: 15px/1.45 system-ui, sans-serif; max-width: 700px; margin: 2em auto; padding: 0 1em; }
        figure { margin: 2em 0; } figcaption { font-weight: 600; } svg { width: 100%; height: auto; }
        polyline { fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; }
        circle { fill: currentColor; } .grid { stroke: var(--line); }
        svg text { font-size: 11px; fill: currentColor; opacity: .75; }
        .value { text-anchor: end; dominant-baseline: middle; } .step { text-anchor: middle; }
        table { border-collapse: collapse; font-size: 13px; } th, td { padding: 2px 10px; text-align: right; }
        tr th:first-child { text-align: left; font-weight: 500; } td { font-variant-numeric: tabular-nums; }
        .wide { overflow-x: auto; } .wide th, .wide td { white-space: nowrap; } .wide th { font-weight: 500; }
        .wide tr th:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 16em; }
        .share { position: relative; min-width: 5em; }
        .share i { position: absolute; left: 0; top: 15%; height: 70%; margin: 0; background: #0072b2; opacity: .3; }
        summary { cursor: pointer; font-size: 13px; margin: .6em 0; }
        i { display: inline-block; width: 12px; height: 3px; margin-right: 8px; vertical-align: middle; background: currentColor; }
        .c0 { color: #0072b2; } .c1 { color: #d55e00; } .c2 { color: #009e73; }
        .c3 { color: #cc79a7; } .c4 { color: #e69f00; } .c5 { color: #56b4e9; }
        """
}
