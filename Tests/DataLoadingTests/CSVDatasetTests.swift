import DataLoading
import Foundation
import Tensors
import Testing

struct CSVDatasetTests {
    private func data(
        _ text: String, features: [String]? = nil, label: CSVLabel, separator: Character = ",", hasHeader: Bool = true,
        missing: Float? = nil
    ) throws -> CSVDataset {
        try withTemporaryDirectory { directory in
            let path = directory + "/t.csv"
            try write(Array(text.utf8), to: path)
            return try CSVDataset(
                path, features: features, label: label, separator: separator, hasHeader: hasHeader, missing: missing)
        }
    }

    private func message(_ text: String, features: [String]? = nil, label: CSVLabel = .numbers(in: ["y"])) -> String {
        do {
            _ = try data(text, features: features, label: label)
            return "nothing"
        } catch {
            let text = "\(error)"
            return text.range(of: "t.csv").map { String(text[$0.lowerBound...]) } ?? text
        }
    }

    @Test func columnsAndClasses() throws {
        let table = try data("a,kind,b\n1,rose,2\r\n-3e2,daisy,4.5\n\n 7 ,rose,0\n", label: .classes(in: "kind"))
        #expect(table.features == ["a", "b"] && table.classes == ["daisy", "rose"] && table.count == 3)
        let batch = table.batch(at: [2, 0, 1])
        #expect(batch.inputs.dtype == .float32 && batch.labels.dtype == .int64)
        #expect(batch.inputs.doubles == [7, 0, 1, 2, -300, 4.5])
        #expect(batch.labels.doubles == [1, 1, 0])
        // Whole numbers are in the order of numbers, and given names are kept also when some are not there.
        #expect(try data("x,y\n1,10\n1,9\n", label: .classes(in: "y")).classes == ["9", "10"])
        let given = try data("x,y\n1,10\n1,9\n", label: .classes(in: "y", names: ["10", "8", "9"]))
        #expect(given.batch(at: [0, 1]).labels.doubles == [0, 2])
    }

    @Test func numbersAsLabels() throws {
        let one = try data("a;b;y\n1;2;0.5\n3;;4\n", label: .numbers(in: ["y"]), separator: ";", missing: -1)
        #expect(one.batch(at: [0, 1]).labels.shape == [2] && one.batch(at: [1]).inputs.doubles == [3, -1])
        let two = try data("1,2,3\n4,5,6", features: ["1"], label: .numbers(in: ["2", "0"]), hasHeader: false)
        let batch = two.batch(at: [1])
        #expect(batch.labels.shape == [1, 2] && batch.labels.doubles == [6, 4] && batch.inputs.doubles == [5])
    }

    /// What RFC 4180 allows: separators, line ends and doubled quotes in quotes; a mark at the beginning.
    @Test func quotes() throws {
        let text = "\u{FEFF}\"a \"\"x\"\", y\",k\n\"1\",\"one\nand a half\"\r\n2,\"\"\n"
        let table = try data(text, label: .classes(in: "k"))
        #expect(table.features == ["a \"x\", y"])
        #expect(table.classes == ["", "one\nand a half"])
        #expect(table.batch(at: [0, 1]).inputs.doubles == [1, 2])
    }

    @Test func mistakesHaveALine() {
        #expect(message("x,y\n1,2\n\"1\n\",2\n3,4,5\n") == "t.csv, line 5: 3 fields, and there are 2 columns")
        #expect(message("x,y\n1,2\n3,a\n") == "t.csv, line 3: 'a' in column 'y' is not a number")
        #expect(
            message("x,y\n1,2\n,3\n")
                == "t.csv, line 3: '' in column 'x' is not a number; say what an empty field means (missing:)")
        #expect(message("x,y\n1,\"2\n3,4\n") == "t.csv, line 2: a quote is not closed until the end of the file")
        #expect(message("x,y\n1,\"2\"3\n") == "t.csv, line 2: something follows the quote that ends a field")
        #expect(message("x,y\n1,2\"\n") == "t.csv, line 2: a quote in a field that does not begin with one")
        #expect(message("x,z\n1,2\n") == "t.csv: there is no column 'y'; there are: x, z")
        #expect(
            message("x,y\n1,b\n", label: .classes(in: "y", names: ["a", "c"]))
                == "t.csv, line 2: 'b' in column 'y' is none of the classes a, c")
        #expect(message("") == "t.csv: the file is empty")
    }
}
