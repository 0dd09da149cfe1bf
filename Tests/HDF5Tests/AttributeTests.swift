import Foundation
import HDF5
import Testing

struct AttributeTests {
    @Test func allKindsOnAllObjects() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/a.h5"
            let file = try HDF5File.create(at: path)
            let long = String(repeating: "Länge 🌍 ", count: 9000)
            #expect(long.utf8.count > 100_000)
            func set(on owner: some HDF5Attributed) throws {
                try owner.setAttribute("text", "Übung 東京 🚀")
                try owner.setAttribute("empty text", "")
                try owner.setAttribute("long text", long)
                try owner.setAttribute("texts", ["a", "", "ßß", "long enough to pad"])
                try owner.setAttribute("no texts", [String]())
                try owner.setAttribute("integer", Int64.min)
                try owner.setAttribute("integers", [1, -2, Int.max])
                try owner.setAttribute("no integers", [Int64]())
                try owner.setAttribute("number", -0.1)
                try owner.setAttribute("numbers", [Double.infinity, -1e-300])
                try owner.setAttribute("名前", 5)
                for index in 0..<20 { try owner.setAttribute("many \(index)", index) }
                try owner.setAttribute("integer", "replaced")
                try owner.setAttribute("integer", Int64.max)
            }
            func check(on owner: some HDF5Attributed) throws {
                #expect(try owner.attributeNames.count == 31)
                #expect(try owner.attribute("text") == "Übung 東京 🚀")
                #expect(try owner.attribute("empty text") == "")
                #expect(try owner.attribute("long text") == long)
                #expect(try owner.attribute("texts") == ["a", "", "ßß", "long enough to pad"])
                #expect(try owner.attribute("no texts") == [String]())
                #expect(try owner.attribute("integer") == Int64.max)
                #expect(try owner.attribute("integers") == [1, -2, Int.max])
                #expect(try owner.attribute("no integers") == [Int64]())
                #expect(try owner.attribute("number") == -0.1)
                #expect(try owner.attribute("numbers") == [Double.infinity, -1e-300])
                #expect(try owner.attribute("名前") == 5)
                #expect(try owner.attribute("名前") == 5.0)
                #expect(try owner.attribute("many 19", as: Int.self) == 19)
                #expect(try owner.hasAttribute("text"))
                #expect(try !owner.hasAttribute("txt"))
            }
            try set(on: file)
            try set(on: file.createGroup("g/ü"))
            try set(on: file.writeDataset("g/x", [1.0]))
            try file.close()
            let back = try HDF5File.open(at: path)
            try check(on: back)
            try check(on: back.group("g/ü"))
            try check(on: back.dataset("g/x"))
        }
    }

    @Test func wrongNamesAndTypes() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/a.h5")
            expectError(.missingObject, mentioning: "no attributes") { _ = try file.attribute("x", as: Int.self) }
            try file.setAttribute("epoch", 3)
            try file.setAttribute("name", "m")
            expectError(.missingObject, mentioning: "There are: epoch, name.") {
                _ = try file.attribute("epochs", as: Int.self)
            }
            expectError(.wrongType, mentioning: "a whole number, not String") {
                _ = try file.attribute("epoch", as: String.self)
            }
            expectError(.wrongType, mentioning: "attribute name: the attribute is a text, not Int") {
                _ = try file.attribute("name", as: Int.self)
            }
        }
    }

    @Test func longTexts() throws {
        try withTemporaryDirectory { directory in
            let file = try HDF5File.create(at: directory + "/t.h5")
            for text in ["", "short", String(repeating: "{\"ä\": 1}\n", count: 50_000)] {
                try file.writeText("t/\(text.utf8.count)", text)
                #expect(try file.readText("t/\(text.utf8.count)") == text)
            }
        }
    }
}
