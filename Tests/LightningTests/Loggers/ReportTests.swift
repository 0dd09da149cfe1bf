import Foundation
import Lightning
import TestSupport
import Testing

/// The page about a run, from files of known content.
struct ReportTests {
    private let scratch: ScratchDirectory

    init() throws { scratch = try ScratchDirectory() }

    private func page(_ lines: [String], file: String = "metrics.csv") throws -> String {
        try lines.joined(separator: "\n").write(toFile: scratch.file(file), atomically: true, encoding: .utf8)
        return try RunReport.html(directory: scratch.path)
    }

    private let header = "epoch,batch,step,samples,seconds,name,value"

    @Test func curvesAreDrawnToScale() throws {
        let html = try page([
            header, "0,1,0,10,1.0,train_loss_step,3", "0,2,50,20,2.0,train_loss_step,1",
            "0,3,100,40,3.0,train_loss_step,2", "0,3,100,40,3.0,val_loss,1.5", "1,4,half a li",
        ])
        // 564 wide from 64, 220 high from 10: the largest at the top.
        #expect(html.contains(#"<polyline class="c0" points="64.0,10.0 346.0,230.0 628.0,120.0"/>"#), "\(html)")
        #expect(html.contains(#"<circle class="c1" cx="628.0" cy="175.0" r="3"/>"#))
        #expect(html.contains("<figcaption>loss</figcaption>") && !html.contains("<figcaption>train_loss"))
        #expect(html.contains("</i>train_loss_step</th><td>2</td><td>1</td><td>3</td></tr>"))
        #expect(html.contains("1 epochs, 100 optimizer steps, 40 samples"))
        // 10 samples in one second, then 20.
        #expect(html.contains("</i>all ranks</th><td>20</td><td>10</td><td>20</td></tr>"))
        for step in [0, 20, 40, 60, 80, 100] { #expect(html.contains(#"class="step">\#(step)</text>"#)) }
    }

    @Test func namesAreEscapedAndWhatIsNotANumberInterruptsTheLine() throws {
        let html = try page([
            header, #"0,1,1,10,1.0,"a,""<b>",1"#, #"0,1,2,10,1.0,"a,""<b>",2"#, #"0,1,3,10,1.0,"a,""<b>",nan"#,
            #"0,1,4,10,1.0,"a,""<b>",inf"#, #"0,1,5,10,1.0,"a,""<b>",2"#, "",
        ])
        #expect(html.contains("<figcaption>a,&quot;&lt;b&gt;</figcaption>") && !html.contains("<b>"))
        #expect(
            html.components(separatedBy: "<polyline").count == 2 && html.components(separatedBy: "<circle").count == 2)
    }

    @Test func longCurvesKeepTheirPeaks() throws {
        let lines = (0..<50_000).map { "0,\($0),\($0),\($0),1.0,loss,\($0 == 31_337 ? 9 : Double($0 % 7) / 7)" }
        let html = try page([header] + lines + [""])
        #expect(html.utf8.count < 60_000)
        #expect(html.contains(",10.0 "), "the peak is at the top")
    }

    @Test func jsonLinesWillDo() throws {
        let html = try page(
            [
                #"{"hyperparameters":{"a":1}}"#,
                #"{"batch":1,"epoch":0,"samples":10,"seconds":1,"step":1,"values":{"loss":2,"acc":"nan"}}"#,
                #"{"batch":2,"epoch":0,"samples":20,"seconds":2,"step":2,"values":{"loss":1}}"#, "",
            ], file: "metrics.jsonl")
        #expect(html.contains("</i>loss</th><td>1</td><td>1</td><td>2</td></tr>"))
    }

    @Test func profilesAreTablesOfTheirStages() throws {
        func profile(_ stage: String, ranks: Int, _ rows: String) throws {
            try #"{"stage":"\#(stage)","seconds":2,"ranks":\#(ranks),"rows":[\#(rows)]}"#.write(
                toFile: scratch.file("profile-\(stage).json"), atomically: true, encoding: .utf8)
        }
        try profile(
            "fit", ranks: 2,
            #"{"name":"run<It>","calls":4,"seconds":1,"least":0.5,"mean":0.75,"most":1},"#
                + #"{"name":"short","calls":1,"seconds":0.0001,"least":0,"mean":0.00005,"most":0.0001}"#)
        try profile("test", ranks: 1, #"{"name":"step","calls":1,"seconds":2,"least":2,"mean":2,"most":2}"#)
        let html = try page([header, "0,1,1,10,1.0,loss,3", "0,2,2,30,2.0,loss,1", ""])
        #expect(
            html.contains(
                #"<tr><th>run&lt;It&gt;</th><td>4</td><td>1.000</td><td>250.000</td><td class="share"><i style="width:50.0%"></i>50.0 %</td><td>0.500</td><td>0.750</td><td>1.000</td></tr>"#
            ), "\(html)")
        #expect(html.contains("<summary>1 shorter actions</summary>"))
        #expect(html.contains("the last three are over 2 ranks"))
        let parts = html.components(separatedBy: "<h2>").dropFirst().map { $0.prefix { $0 != "<" } }
        #expect(parts == ["Throughput", "Profile of fit", "Profile of test"])
        #expect(html.contains("<p>20 samples per second from the first to the last value"))
        try "{}".write(toFile: scratch.file("profile-fit.json"), atomically: true, encoding: .utf8)
        let error = #expect(throws: TrainingError.self) { try RunReport.html(directory: scratch.path) }
        #expect(error?.description.hasSuffix("profile-fit.json is not a profile of this version; remove it") == true)
    }

    @Test func aDirectoryWithoutARunIsAnError() throws {
        let error = #expect(throws: TrainingError.self) { try RunReport.html(directory: scratch.path) }
        #expect(error?.description.contains("holds neither metrics.csv nor metrics.jsonl") == true, "\(error as Any)")
    }
}
